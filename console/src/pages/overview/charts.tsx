import { useMemo } from 'preact/hooks';
import type { Column, History } from '../../api/types.ts';
import { duration } from '../../i18n/duration.ts';
import { count, locale, named, t } from '../../i18n/language.ts';
import { Chart, type ChartProps, type Series, Swatch } from '../../ui/chart/chart.tsx';
import type { Band } from '../../ui/chart/plot.ts';
import { Foreign, since } from '../../ui/words.tsx';

const COLORS = ['chart-1', 'chart-3', 'chart-4', 'chart-2', 'chart-6'] as const;
/** More lines cannot be told apart; the rest is one line. */
const MOST_LINES = COLORS.length;
const BAND_KINDS: Readonly<Record<string, Band['kind']>> = {
  hold: 'held',
  pause: 'paused',
  throttle: 'throttled',
};

export function Charts({ history }: { readonly history: History }) {
  const { at } = history;
  // words of another language are other lines
  const charts = useMemo(() => chartsOf(history), [history, locale.value]);
  const times = useMemo(() => at.map((ms) => ms / 1_000), [at]);
  const bands = useMemo(() => bandsOf(history), [history]);
  return (
    <>
      <Bands history={history} />
      <div class="charts">
        {charts.map((chart) => (
          <Chart key={chart.title} {...chart} times={times} bands={bands} />
        ))}
      </div>
    </>
  );
}

type Lines = Omit<ChartProps, 'times' | 'bands'>;

function chartsOf({ perSecond, gauges, deadByReason, errorsPerSecond }: History): Lines[] {
  const rate = (value: number): string => t('chart.perSecond', { n: value });
  const line = (label: string, color: string, values: Column = [], more: Partial<Series> = {}): Series => ({
    label,
    color,
    values,
    format: rate,
    ...more,
  });
  const { imported, superseded, deadLettered } = perSecond;
  const limit = { dashed: true };
  const events = [
    line(t('chart.accepted'), 'chart-1', perSecond.accepted),
    line(t('chart.ended'), 'chart-2', sumOf(imported, superseded, deadLettered)),
  ];
  const calls = [
    line(t('chart.calls'), 'chart-1', perSecond.calls, { filled: true }),
    line(t('chart.rate'), 'chart-3', gauges.rate, limit),
    line(t('chart.quota'), 'chart-6', gauges.quota, limit),
  ];
  const waiting = [
    line(t('chart.waiting'), 'chart-1', gauges.waiting, { filled: true, format: count }),
    line(t('chart.oldest'), 'chart-3', gauges.oldestAgeMs, { right: true, format: duration }),
  ];
  const latency = [
    line(t('chart.p50'), 'chart-2', gauges.latencyP50Ms, { format: duration }),
    line(t('chart.p99'), 'chart-3', gauges.latencyP99Ms, { format: duration }),
  ];
  const dead = linesOf(deadByReason, (name) => named('reason.', name), count);
  const errors = linesOf(errorsPerSecond, answerName, rate);
  return [
    { title: t('chart.events'), series: events, empty: t('chart.noEvents') },
    { title: t('chart.callsTitle'), series: calls },
    { title: t('chart.waitingTitle'), series: waiting, empty: t('chart.nothingWaited'), rightAxis: duration },
    { title: t('chart.latency'), series: latency, empty: t('chart.noEvents'), axis: duration },
    { title: t('chart.dead'), series: dead, empty: t('chart.noLetters') },
    { title: t('chart.errors'), series: errors, empty: t('chart.noErrors') },
  ];
}

/** `70003` and `http-5xx` are names; `timeout` and `other` are words. */
function answerName(name: string): string {
  return named('answer.', name);
}

/** One line for each name, the busiest first, and one for the rest. */
function linesOf(
  columns: Readonly<Record<string, Column>>,
  label: (name: string) => string,
  format: (value: number) => string,
): Series[] {
  const total = (column: Column): number => column.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  const sorted = Object.entries(columns).sort(([, a], [, b]) => total(b) - total(a));
  const shown = sorted.length > MOST_LINES ? sorted.slice(0, MOST_LINES - 1) : sorted;
  const rest = sorted.slice(shown.length).map(([, column]) => column);
  const lines = [
    ...shown.map(([name, values]) => ({ label: label(name), values })),
    ...(rest.length === 0 ? [] : [{ label: t('chart.rest'), values: sumOf(...rest) }]),
  ];
  return lines.map(({ label: words, values }, i) => ({
    label: words,
    values,
    format,
    color: COLORS[i] ?? 'chart-6',
  }));
}

/** Null where nothing is known of any. */
function sumOf(...columns: readonly (Column | undefined)[]): Column {
  const length = Math.max(0, ...columns.map((column) => column?.length ?? 0));
  return Array.from({ length }, (_, i) => {
    const values = columns.map((column) => column?.[i] ?? null).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
  });
}

function bandsOf({ bands }: History): Band[] {
  return bands.flatMap(({ kind, from, to }) => {
    const known = BAND_KINDS[kind];
    return known === undefined
      ? []
      : [{ kind: known, from: from / 1_000, to: to === null ? null : to / 1_000 }];
  });
}

const MOST_BANDS = 6;

/** The bands in words: what the colors mean, and what happened when. */
function Bands({ history: { bands, nowMs } }: { readonly history: History }) {
  if (bands.length === 0) return null;
  const shown = [...bands].sort((a, b) => b.from - a.from).slice(0, MOST_BANDS);
  return (
    <ul class="chart-readout" aria-label={t('chart.bands')}>
      {shown.map(({ kind, from, to, values }) => {
        const cause = kind === 'hold' ? named('hold.', String(values.kind)) : String(values.reason ?? '');
        const lasted = duration((to ?? nowMs) - from);
        const when =
          to === null ? t('chart.sinceThen', { since: since(from) }) : `${since(from)} · ${lasted}`;
        return (
          <li key={`${kind}${from}`}>
            <Swatch color={`band-${BAND_KINDS[kind] ?? 'held'}`} band />
            <b>{named('act.', kind)}</b> <Foreign text={cause === '' ? when : `${when} · ${cause}`} />
          </li>
        );
      })}
    </ul>
  );
}
