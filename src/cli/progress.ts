import { clearLine, cursorTo } from 'node:readline';
import { duration, grouped } from './format.ts';

/** Progress of a verb: one line that is redrawn on a terminal, otherwise a line at intervals. */
export interface Progress {
  /** `share`: how much is done, from 0 to 1. A terminal shows it as a bar; undefined shows no bar. */
  show(text: string, share?: number): void;
  say(text: string): void;
  /** Removes the line from the terminal. May be called twice. */
  end(): void;
}

const REDRAW_EVERY_MS = 200;

/** `lineEveryMs`: the interval of the lines where `stream` is no terminal. */
export function startProgress(lineEveryMs: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  const isTerminal = stream.isTTY === true;
  let shownMs = isTerminal ? Number.NEGATIVE_INFINITY : performance.now();
  let shown = '';
  const clear = (): void => {
    if (!isTerminal) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  return {
    show(text, share) {
      const nowMs = performance.now();
      if (nowMs - shownMs < (isTerminal ? REDRAW_EVERY_MS : lineEveryMs)) return;
      shownMs = nowMs;
      // The same line once more would tell nothing.
      if (!isTerminal && text === shown) return;
      shown = text;
      clear();
      // A wrapped line would take two rows, of which only one is cleared.
      const line = `${share === undefined ? '' : `${bar(share)} `}${text}`;
      stream.write(isTerminal ? line.slice(0, Math.max(20, stream.columns - 1)) : `${text}\n`);
    },
    say(text) {
      clear();
      stream.write(`${text}\n`);
    },
    end: clear,
  };
}

function bar(share: number): string {
  return `[${'#'.repeat(Math.round(20 * share)).padEnd(20, '-')}]`;
}

const ROWS_LINE_EVERY_MS = 10_000;
const RATE_WINDOW_MS = 30_000;

/** Progress of a verb that reads a file, with rows per second and the time left. */
export interface RowsProgress extends Pick<Progress, 'say' | 'end'> {
  /** Why nothing is done at present, in a few words; '' while something is. */
  obstacle: string;
  /** `rows`: how many are done, with those of earlier runs. `words`: what happened to them. */
  show(rows: number, words: string): void;
  /** What was shown last. It changes whenever something is done. */
  shown(): string;
}

/** `estimatedRows`: an estimate of all rows; undefined where the size of the input is not known. */
export function startRowsProgress(verb: string, estimatedRows: () => number | undefined): RowsProgress {
  const rate = createRate();
  const { show, say, end } = startProgress(ROWS_LINE_EVERY_MS);
  // A terminal shows the command above the bar.
  const prefix = process.stderr.isTTY === true ? '' : `${verb}: `;
  let shown = '';
  const progress: RowsProgress = {
    obstacle: '',
    show(rows, words) {
      shown = `${rows} ${words}`;
      const total = estimatedRows();
      const text = `${prefix}${rowsText(rows, total, rate(rows, performance.now()))}, ${words}`;
      const { obstacle } = progress;
      show(obstacle === '' ? text : `${text}, ${obstacle}`, total && rows / Math.max(total, rows));
    },
    shown: () => shown,
    say,
    end,
  };
  return progress;
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

export function rowsText(rows: number, estimatedRows: number | undefined, perSecond: number): string {
  const speed = `${grouped(Math.round(perSecond))}/s`;
  if (estimatedRows === undefined) return `${grouped(rows)} rows, ${speed}`;
  const total = Math.max(rows, estimatedRows);
  const percent = Math.floor((100 * rows) / Math.max(1, total));
  const left = perSecond > 0 ? `, ${duration((total - rows) / perSecond)} left` : '';
  return `${percent} % of about ${grouped(total)} rows, ${speed}${left}`;
}
