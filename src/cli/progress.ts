import { MultiBar, type SingleBar } from 'cli-progress';
import { duration, grouped } from './format.ts';

/** Progress of a verb: one line that is redrawn on a terminal, otherwise a line at intervals. */
export interface Progress {
  /** `share`: how much is done, from 0 to 1. A terminal shows it as a bar; undefined shows no bar. */
  show(text: string, share?: number): void;
  say(text: string): void;
  /** Removes the line from the terminal. May be called twice. */
  end(): void;
}

/** `lineEveryMs`: the interval of the lines where `stream` is no terminal. */
export function startProgress(
  lineEveryMs: number,
  stream: NodeJS.WriteStream & { fd: 1 | 2 } = process.stderr,
): Progress {
  return stream.isTTY === true ? startBar(stream) : startLines(lineEveryMs, stream);
}

function startBar(stream: NodeJS.WriteStream): Progress {
  const bars = new MultiBar({
    format: (_options, { progress }, { text, hasBar }: { text: string; hasBar: boolean }) =>
      `${hasBar ? `${bar(progress)} ` : ''}${text}`.slice(0, Math.max(20, (stream.columns ?? 80) - 1)),
    stream,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
    // The verb handles signals itself.
    gracefulExit: false,
  });
  let single: SingleBar | undefined;
  return {
    show(text, share) {
      const payload = { text, hasBar: share !== undefined };
      single ??= bars.create(1, 0, payload);
      single.update(share ?? 0, payload);
    },
    say(text) {
      if (single === undefined) stream.write(`${text}\n`);
      else bars.log(`${text}\n`);
    },
    end() {
      // What was said last is written with the next update.
      if (bars.isActive) bars.update();
      bars.stop();
    },
  };
}

function startLines(everyMs: number, stream: NodeJS.WriteStream): Progress {
  let lastMs = performance.now();
  return {
    show(text) {
      const nowMs = performance.now();
      if (nowMs - lastMs < everyMs) return;
      lastMs = nowMs;
      stream.write(`${text}\n`);
    },
    say: (text) => void stream.write(`${text}\n`),
    end() {},
  };
}

function bar(share: number): string {
  const full = Math.round(20 * Math.min(1, Math.max(0, share)));
  return `[${'#'.repeat(full)}${'-'.repeat(20 - full)}]`;
}

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

const ROWS_LINE_EVERY_MS = 10_000;
const RATE_WINDOW_MS = 30_000;

export function startRowsProgress(verb: string): RowsProgress {
  const rate = createRate();
  const { show, say, end } = startProgress(ROWS_LINE_EVERY_MS);
  // A terminal shows the command above the bar.
  const prefix = process.stderr.isTTY === true ? '' : `${verb}: `;
  return {
    show(state) {
      const total = state.estimatedRows ?? 0;
      const text = rowsText(state, rate(state.rows, performance.now()));
      show(`${prefix}${text}`, total === 0 ? 0 : state.rows / Math.max(total, state.rows));
    },
    say,
    end,
  };
}

/** Rows per second over the last half minute, from the first call on: earlier runs do not count. */
export function createRate(): (rows: number, nowMs: number) => number {
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

export function rowsText({ rows, estimatedRows, words }: RowsState, perSecond: number): string {
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
