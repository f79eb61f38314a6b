import type { AppRedis } from '../../redis/keys.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { fieldsOf } from '../../redis/script.ts';
import { type Band, readBands } from './bands.ts';
import { percentile } from './latency.ts';

/** What the fleet did of late, step by step: from the points that `sample.lua` writes. */

export const SPANS = {
  '15m': { ms: 900_000, stepMs: 10_000 },
  '3h': { ms: 10_800_000, stepMs: 60_000 },
  '24h': { ms: 86_400_000, stepMs: 600_000 },
} as const;
export type Span = keyof typeof SPANS;

type Series = (number | null)[];

/** Columns of one length: a value for each time of `at`, null where nothing was recorded. */
export interface History {
  readonly nowMs: number;
  readonly span: Span;
  readonly stepMs: number;
  /** Beginnings of the steps, ms since 1970. */
  readonly at: readonly number[];
  readonly perSecond: Readonly<Record<Rate, Series>>;
  readonly gauges: Readonly<Record<Gauge, Series>>;
  readonly deadByReason: Readonly<Record<string, Series>>;
  readonly errorsPerSecond: Readonly<Record<string, Series>>;
  readonly bands: readonly Band[];
}

const RATES = ['accepted', 'imported', 'superseded', 'deadLettered', 'calls', 'refused'] as const;
type Rate = (typeof RATES)[number];
const GAUGES = [
  ...(['waiting', 'oldestAgeMs', 'quota', 'rate'] as const),
  ...(['latencyP50Ms', 'latencyP99Ms', 'deadLetters', 'workers'] as const),
] as const;
type Gauge = (typeof GAUGES)[number];

/** A point as it is stored: see history/sample.lua. */
export type Point = Readonly<Record<string, string>>;

/** Points that a step of the coarse streams does not hold yet come from finer ones. */
export async function readHistory(app: AppRedis, span: Span): Promise<History> {
  const { redis, keys } = app;
  const nowMs = Math.floor(await ownerTimeMs(redis, keys));
  const { ms, stepMs } = SPANS[span];
  const count = String(ms / stepMs + 3);
  const streams = {
    '15m': () => redis.xrevrange(keys.historySeconds, '+', '-', 'COUNT', count),
    '3h': () => redis.xrevrange(keys.historyMinutes, '+', '-', 'COUNT', count),
    '24h': () => redis.xrevrange(keys.historyTens, '+', '-', 'COUNT', count),
  };
  const [entries, bands] = await Promise.all([streams[span](), readBands(app)]);
  const points = entries.map(([, flat]) => fieldsOf<Point>(flat)).sort((a, b) => Number(a.at) - Number(b.at));
  const fromMs = nowMs - ms;
  return {
    ...historyOf(points, span, nowMs),
    bands: bands.filter(({ to }) => to === null || to >= fromMs),
  };
}

/** The columns for points in their order. Pure. */
export function historyOf(points: readonly Point[], span: Span, nowMs: number): Omit<History, 'bands'> {
  const { ms, stepMs } = SPANS[span];
  // A point is written at the beginning of the step after the one that it tells of.
  const stepOf = (point: Point): number => Math.floor(Number(point.at) / stepMs) * stepMs - stepMs;
  const lastAt = Math.floor(nowMs / stepMs) * stepMs - stepMs;
  const at = Array.from({ length: ms / stepMs }, (_, i) => lastAt - ms + (i + 1) * stepMs);
  const placeOf = new Map(at.map((time, i) => [time, i]));
  const empty = (): Series => at.map(() => null);
  const perSecond = Object.fromEntries(RATES.map((name) => [name, empty()])) as Record<Rate, Series>;
  const gauges = Object.fromEntries(GAUGES.map((name) => [name, empty()])) as Record<Gauge, Series>;
  const deadByReason: Record<string, Series> = {};
  const errorsPerSecond: Record<string, Series> = {};
  const places: number[] = [];
  for (const [i, point] of points.entries()) {
    const place = placeOf.get(stepOf(point));
    if (place === undefined) continue;
    places.push(place);
    const seen = readPoint(point, points[i - 1], stepMs);
    for (const name of RATES) perSecond[name][place] = seen.rates[name];
    for (const name of GAUGES) gauges[name][place] = seen.gauges[name];
    setAll(deadByReason, seen.reasons, place, empty);
    setAll(errorsPerSecond, seen.errors, place, empty);
  }
  // Where there is a point, a reason or a code that it does not name is 0.
  for (const series of [...Object.values(deadByReason), ...Object.values(errorsPerSecond)])
    for (const place of places) series[place] ??= 0;
  return { nowMs, span, stepMs, at, perSecond, gauges, deadByReason, errorsPerSecond };
}

function setAll(
  columns: Record<string, Series>,
  values: ReadonlyMap<string, number>,
  place: number,
  empty: () => Series,
): void {
  for (const [name, value] of values) {
    const column = columns[name] ?? empty();
    column[place] = value;
    columns[name] = column;
  }
}

function readPoint(point: Point, before: Point | undefined, stepMs: number) {
  const number = (name: string): number => Number(point[name] ?? 0);
  // Without the point before, what was counted since then is taken as that of one step.
  const sinceMs = before === undefined ? stepMs : Number(point.at) - Number(before.at);
  const seconds = Math.max(1, sinceMs / 1_000);
  const grown = (name: string): number | null => {
    const growth = before === undefined ? Number.NaN : number(name) - Number(before[name] ?? 0);
    // Totals that fell: Redis was emptied, or letters were redriven.
    return growth >= 0 ? growth / seconds : null;
  };
  const errors = namedFrom(point, 'n:error:');
  const latencies = new Map([...namedFrom(point, 'n:ms:')].map(([bucket, n]) => [Number(bucket), n]));
  const reasons = namedFrom(point, 'reason:');
  const sum = (values: ReadonlyMap<string, number>): number =>
    [...values.values()].reduce((a, b) => a + b, 0);
  const p = (share: number): number | null => {
    const ms = percentile(latencies, share);
    return ms === null ? null : Math.round(ms);
  };
  return {
    rates: {
      accepted: grown('accepted'),
      imported: grown('imported'),
      superseded: grown('superseded'),
      deadLettered: grown('dead'),
      calls: number('n:calls') / seconds,
      refused: sum(errors) / seconds,
    },
    gauges: {
      waiting: number('waiting'),
      oldestAgeMs: number('oldest'),
      quota: number('quota'),
      rate: number('rate'),
      latencyP50Ms: p(0.5),
      latencyP99Ms: p(0.99),
      deadLetters: sum(reasons),
      workers: number('workers'),
    },
    reasons,
    errors: new Map([...errors].map(([code, n]) => [code, n / seconds])),
  };
}

/** The numbers of fields whose name begins so, by the rest of the name. */
function namedFrom(point: Point, prefix: string): Map<string, number> {
  return new Map(
    Object.entries(point).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), Number(value)] as const] : [],
    ),
  );
}

/** Accounts that were imported in the last minute, by the points of the fine stream; what they miss counts as 0. */
export async function importedLastMinute(app: AppRedis): Promise<number> {
  const { perSecond, stepMs } = await readHistory(app, '15m');
  const perStep = perSecond.imported.slice(-60_000 / stepMs).map((rate) => ((rate ?? 0) * stepMs) / 1_000);
  return Math.round(perStep.reduce((sum, count) => sum + count, 0));
}
