import { duration, grouped } from '../format.ts';
import { type Progress, startProgress } from '../progress.ts';

/** How far a verb has come in its file. */
export interface RowsState {
  /** Rows that are done, with those of earlier runs. */
  readonly rows: number;
  /** An estimate of all rows; undefined where the size of the input is not known. */
  readonly estimatedRows: number | undefined;
  /** What happened to the rows, in a few words. */
  readonly words: string;
}

/** Progress with rows per second and the time left. */
export interface RowsProgress extends Pick<Progress, 'say' | 'end'> {
  show(state: RowsState): void;
}

const LINE_EVERY_MS = 10_000;
const RATE_WINDOW_MS = 30_000;

export function startRowsProgress(verb: string): RowsProgress {
  const rate = createRate();
  const progress = startProgress(LINE_EVERY_MS);
  // A terminal shows the command above the bar.
  const prefix = process.stderr.isTTY === true ? '' : `${verb}: `;
  return {
    show(state) {
      const total = state.estimatedRows ?? 0;
      const text = textOf(state, rate(state.rows, performance.now()));
      progress.show(`${prefix}${text}`, total === 0 ? 0 : state.rows / Math.max(total, state.rows));
    },
    say: progress.say,
    end: progress.end,
  };
}

/** Rows per second over the last half minute. */
type Rate = (rows: number, nowMs: number) => number;

/**
 * Counts from the first call, so that rows which an earlier run did are not counted. It has no clock of its
 * own.
 */
export function createRate(): Rate {
  const seen: { rows: number; atMs: number }[] = [];
  return (rows, nowMs) => {
    const last = seen.at(-1);
    if (last === undefined || nowMs - last.atMs >= 1_000) seen.push({ rows, atMs: nowMs });
    while (seen.length > 2 && nowMs - (seen[1]?.atMs ?? nowMs) > RATE_WINDOW_MS) seen.shift();
    const first = seen[0];
    return first === undefined || nowMs <= first.atMs
      ? 0
      : ((rows - first.rows) * 1_000) / (nowMs - first.atMs);
  };
}

/** Pure. */
export function textOf({ rows, estimatedRows, words }: RowsState, perSecond: number): string {
  const parts = [
    estimatedRows === undefined
      ? `${grouped(rows)} rows`
      : `${percent(rows, estimatedRows)} of about ${grouped(Math.max(rows, estimatedRows))} rows`,
    `${grouped(Math.round(perSecond))}/s`,
  ];
  if (estimatedRows !== undefined && perSecond > 0)
    parts.push(`${duration((estimatedRows - rows) / perSecond)} left`);
  return [...parts, words].join(', ');
}

function percent(part: number, whole: number): string {
  return whole <= 0 ? '0 %' : `${Math.min(100, Math.floor((100 * part) / whole))} %`;
}
