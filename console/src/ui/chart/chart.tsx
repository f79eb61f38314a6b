import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import { locale, t } from '../../i18n/language.ts';
import { shownTheme } from '../../state/theme.ts';
import { type Band, drawn } from './plot.ts';

export interface Series {
  readonly label: string;
  /** The name of its color among the design's values: `chart-1`. */
  readonly color: string;
  /** One for each time; null where nothing is known. */
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
  /** A limit rather than a measurement. */
  readonly dashed?: boolean;
  readonly filled?: boolean;
  /** On an axis of its own, to the right. */
  readonly right?: boolean;
}

export interface ChartProps {
  readonly title: string;
  /** Seconds since 1970, ascending. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly bands: readonly Band[];
  /** Said in place of lines where there is nothing to see. */
  readonly empty?: string;
  /** How an axis writes its values; numbers otherwise. */
  readonly axis?: (value: number) => string;
  readonly rightAxis?: (value: number) => string;
}

/** The place that is pointed at, shared by all charts of the page; null: the newest. */
const pointed = signal<number | null>(null);

/** A chart of time. The pointer or the arrow keys choose a moment, and every chart tells its values there. */
export function Chart({ title, empty, ...drawing }: ChartProps) {
  const { times, series } = drawing;
  const last = times.length - 1;
  const at = Math.min(pointed.value ?? newestKnown(series, last), last);
  const isEmpty = empty !== undefined && series.every(({ values }) => values.every((value) => !value));
  const text = series.map(({ label, values, format }) => `${label} ${told(values[at], format)}`).join(', ');
  const time = times[at];
  const clock = time === undefined ? '' : clockText(time);
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -last, End: last }[
      event.key
    ];
    if (event.key === 'Escape') pointed.value = null;
    if (step === undefined) return;
    event.preventDefault();
    pointed.value = Math.max(0, Math.min(last, at + step));
  };
  return (
    <figure class="card">
      <figcaption class="card-head">
        <h3>{title}</h3>
        <span class="small faint">{pointed.value === null ? t('chart.now') : clock}</span>
      </figcaption>
      <ul class="chart-readout">
        {series.map(({ label, color, values, format }) => (
          <li key={label}>
            <Swatch color={color} />
            {label} <b>{told(values[at], format)}</b>
          </li>
        ))}
      </ul>
      <div
        class="chart"
        role="slider"
        tabIndex={0}
        aria-label={t('chart.label', { title })}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, last)}
        aria-valuenow={Math.max(0, at)}
        aria-valuetext={`${clock}: ${text}`}
        onKeyDown={move}
        onBlur={() => {
          pointed.value = null;
        }}
      >
        <Plot {...drawing} at={pointed.value === null ? null : at} />
        {isEmpty && <p class="chart-empty">{empty}</p>}
      </div>
    </figure>
  );
}

/** The last step may have no values yet. */
function newestKnown(series: readonly Series[], last: number): number {
  for (let i = last; i >= 0; i--) {
    if (series.some(({ values }) => values[i] !== null && values[i] !== undefined)) return i;
  }
  return last;
}

function told(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

function clockText(seconds: number): string {
  return new Intl.DateTimeFormat(locale.value, { timeStyle: 'medium' }).format(seconds * 1_000);
}

export function Swatch({ color, band = false }: { readonly color: string; readonly band?: boolean }) {
  return (
    <span
      class="swatch"
      data-shape={band ? 'band' : undefined}
      ref={(element) => element?.style.setProperty('--swatch', `var(--${color})`)}
    />
  );
}

/** The drawing itself. It is made anew when its lines or colors change, and else only gets new values. */
function Plot({ at, ...drawing }: Omit<ChartProps, 'title' | 'empty'> & { readonly at: number | null }) {
  const { times, series } = drawing;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(drawing);
  latest.current = drawing;
  const look = `${shownTheme.value} ${locale.value} ${series.map(({ label }) => label).join()}`;
  // `look` stands for what the drawing is made of
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const onPoint = (index: number | null): void => {
      pointed.value = index;
    };
    const made = drawn(element, latest, onPoint);
    plot.current = made;
    const watch = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [look]);
  useEffect(() => {
    plot.current?.setData([[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData);
  }, [times, series]);
  useEffect(() => {
    const made = plot.current;
    if (made === null) return;
    const left = at === null ? -10 : made.valToPos(times[at] ?? 0, 'x');
    made.setCursor({ left, top: at === null ? -10 : 1 }, false);
  }, [at, times]);
  return <div ref={place} class="chart" aria-hidden="true" />;
}
