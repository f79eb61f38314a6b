import { MultiBar, type SingleBar } from 'cli-progress';

/** How far a long verb over a file has come. */
export interface RowsState {
  /** Rows that are done, those of an earlier run included. */
  readonly rows: number;
  /** Rows there are, as far as can be said. */
  readonly estimatedRows: number | undefined;
  /** What became of them, in a few words. */
  readonly words: string;
}

/** Progress on standard error: a bar with rate and time left on a terminal, else a line now and then. */
export interface RowsProgress {
  show(state: RowsState): void;
  /** A line that stays. */
  say(text: string): void;
  end(): void;
}

const LINE_EVERY_MS = 10_000;
/** The rate is that of the last half minute or so. */
const RATE_WINDOW_MS = 30_000;

export function startRowsProgress(verb: string): RowsProgress {
  const rate = createRate();
  return process.stderr.isTTY === true ? startBar(rate) : startLines(verb, rate);
}

function startBar(rate: Rate): RowsProgress {
  const bars = new MultiBar({
    format: (_options, { progress }, payload: { text: string }) =>
      `${bar(progress)} ${payload.text}`.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1)),
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
    // The verb has its own way to end.
    gracefulExit: false,
  });
  let one: SingleBar | undefined;
  return {
    show(state) {
      const total = state.estimatedRows ?? 0;
      const text = textOf(state, rate(state.rows, performance.now()));
      one ??= bars.create(Math.max(1, total), state.rows, { text });
      one.setTotal(Math.max(1, total, state.rows));
      one.update(total === 0 ? 0 : state.rows, { text });
    },
    say(text) {
      if (one === undefined) process.stderr.write(`${text}\n`);
      else bars.log(`${text}\n`);
    },
    end: () => bars.stop(),
  };
}

function startLines(verb: string, rate: Rate): RowsProgress {
  let lastMs = performance.now();
  return {
    show(state) {
      const nowMs = performance.now();
      const perSecond = rate(state.rows, nowMs);
      if (nowMs - lastMs < LINE_EVERY_MS) return;
      lastMs = nowMs;
      process.stderr.write(`${verb}: ${textOf(state, perSecond)}\n`);
    },
    say: (text) => void process.stderr.write(`${text}\n`),
    end() {},
  };
}

/** Rows a second of late. */
type Rate = (rows: number, nowMs: number) => number;

/** Counted from the first call: passing over what an earlier run has done is no progress. Pure but for its memory. */
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

function bar(progress: number): string {
  const full = Math.round(20 * Math.min(1, Math.max(0, progress)));
  return `[${'#'.repeat(full)}${'-'.repeat(20 - full)}]`;
}

function percent(part: number, whole: number): string {
  return whole <= 0 ? '0 %' : `${Math.min(100, Math.floor((100 * part) / whole))} %`;
}

/** 1,234,567 */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 45 s, 3 min 20 s, 2 h 5 min */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
