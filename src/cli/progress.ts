import { MultiBar, type SingleBar } from 'cli-progress';

/**
 * Progress of a long verb on standard error: one line that is redrawn on a terminal, otherwise a line at
 * intervals.
 */
export interface Progress {
  /** `share`: how much is done, from 0 to 1. A terminal shows it as a bar; undefined shows no bar. */
  show(text: string, share?: number): void;
  /** Prints a line that stays. */
  say(text: string): void;
  /** Removes the line from the terminal. May be called twice. */
  end(): void;
}

/** `lineEveryMs`: the interval of the lines where standard error is no terminal. */
export function startProgress(lineEveryMs: number): Progress {
  return process.stderr.isTTY === true ? startBar() : startLines(lineEveryMs);
}

function startBar(): Progress {
  const bars = new MultiBar({
    format: (_options, { progress }, { text, hasBar }: { text: string; hasBar: boolean }) =>
      `${hasBar ? `${bar(progress)} ` : ''}${text}`.slice(
        0,
        Math.max(20, (process.stderr.columns ?? 80) - 1),
      ),
    stream: process.stderr,
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
      if (single === undefined) process.stderr.write(`${text}\n`);
      else bars.log(`${text}\n`);
    },
    end: () => bars.stop(),
  };
}

function startLines(everyMs: number): Progress {
  let lastMs = performance.now();
  return {
    show(text) {
      const nowMs = performance.now();
      if (nowMs - lastMs < everyMs) return;
      lastMs = nowMs;
      process.stderr.write(`${text}\n`);
    },
    say: (text) => void process.stderr.write(`${text}\n`),
    end() {},
  };
}

function bar(share: number): string {
  const full = Math.round(20 * Math.min(1, Math.max(0, share)));
  return `[${'#'.repeat(full)}${'-'.repeat(20 - full)}]`;
}
