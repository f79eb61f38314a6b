import uPlot from 'uplot';
import { locale } from '../../i18n/language.ts';
import type { ChartProps } from './chart.tsx';

/** A span of time in which calls were held, paused or throttled. Seconds since 1970; `to` null: it still is. */
export interface Band {
  readonly kind: 'held' | 'paused' | 'throttled';
  readonly from: number;
  readonly to: number | null;
}

/** Steps of an axis of times: a part of a millisecond has no words. */
const WHOLE_STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

type Latest = { readonly current: Omit<ChartProps, 'title' | 'empty'> };

const AXIS_WIDTH = 46;
const WORDS_WIDTH = 62;
const SYNC = uPlot.sync('imsync').key;

/** Draws a chart into `place`. Colors are those of the page at this moment. */
export function drawn(place: HTMLElement, latest: Latest, onPoint: (index: number | null) => void): uPlot {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const { times, series, axis, rightAxis } = latest.current;
  // As large as small text is, on a wall as well.
  const em = Number.parseFloat(style.fontSize) / 16;
  const font = `${Math.round(12 * em)}px ${style.getPropertyValue('--font')}`;
  const line = { stroke: color('text-faint'), font, ticks: { show: false } };
  const grid = { stroke: color('chart-grid'), width: 1 };
  const short = new Intl.NumberFormat(locale.peek(), { notation: 'compact', maximumFractionDigits: 2 });
  const labels =
    (format = (value: number): string => short.format(value)) =>
    (_: uPlot, splits: number[]): string[] =>
      splits.map((value) => (value === 0 ? '0' : format(value)));
  const hasRight = series.some(({ right }) => right === true);
  const options: uPlot.Options = {
    width: place.clientWidth,
    height: place.clientHeight,
    legend: { show: false },
    padding: [8, hasRight ? 0 : 20 * em, 0, 0],
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      sync: { key: SYNC, setSeries: false },
      points: { size: 6 },
    },
    scales: { x: { time: true }, y: { range: fromZero }, right: { range: fromZero } },
    axes: [
      { ...line, grid: { show: false }, size: 26 * em, space: 64, values: clockLabels },
      {
        ...line,
        grid,
        size: em * (axis === undefined ? AXIS_WIDTH : WORDS_WIDTH),
        values: labels(axis),
        space: 34,
        ...(axis !== undefined && { incrs: WHOLE_STEPS }),
      },
      ...(hasRight
        ? [
            {
              ...line,
              grid: { show: false },
              scale: 'right',
              side: 1 as const,
              size: em * WORDS_WIDTH,
              values: labels(rightAxis),
              space: 34,
              incrs: WHOLE_STEPS,
            },
          ]
        : []),
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        scale: one.right === true ? 'right' : 'y',
        stroke: color(one.color),
        width: one.dashed === true ? 1 : 1.75,
        ...(one.dashed === true && { dash: [5, 4] }),
        ...(one.filled === true && { fill: `${color(one.color)}22` }),
        points: { show: false },
      })),
    ],
    hooks: {
      drawClear: [(plot) => drawBands(plot, latest, color)],
      setCursor: [
        (plot) => {
          // Only the chart under the pointer tells; the others follow it.
          if (plot.cursor.event != null) onPoint(plot.cursor.idx ?? null);
        },
      ],
    },
  };
  const data = [[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
  return new uPlot(options, data, place);
}

function fromZero(_: uPlot, _min: number | null, max: number | null): [number, number] {
  return [0, Math.max(1, (max ?? 0) * 1.1)];
}

function clockLabels(_: uPlot, splits: number[]): string[] {
  const format = new Intl.DateTimeFormat(locale.peek(), { hour: '2-digit', minute: '2-digit' });
  return splits.map((seconds) => format.format(seconds * 1_000));
}

/** Behind the lines, so that both can be read. */
function drawBands(plot: uPlot, { current: { bands } }: Latest, color: (name: string) => string): void {
  const { ctx, bbox, scales } = plot;
  const [min = 0, max = 0] = [scales.x?.min, scales.x?.max];
  for (const { kind, from, to } of bands) {
    if (from > max || (to ?? max) < min) continue;
    const left = plot.valToPos(Math.max(from, min), 'x', true);
    const right = plot.valToPos(Math.min(to ?? max, max), 'x', true);
    ctx.fillStyle = color(`band-${kind}`);
    // A hold of a second is seen as well.
    ctx.fillRect(left, bbox.top, Math.max(2 * devicePixelRatio, right - left), bbox.height);
  }
}
