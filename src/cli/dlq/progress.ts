/** Progress of a long verb, on standard error: one line that changes on a terminal, else a line now and then. */
export interface Progress<T> {
  show(state: T): void;
  /** A line that stays. */
  say(text: string): void;
  end(): void;
}

const TERMINAL_EVERY_MS = 200;
const LINE_EVERY_MS = 5_000;

export function startProgress<T>(text: (state: T) => string): Progress<T> {
  const onTerminal = process.stderr.isTTY === true;
  const everyMs = onTerminal ? TERMINAL_EVERY_MS : LINE_EVERY_MS;
  let lastMs = performance.now();
  let shown = false;
  return {
    show(state) {
      const nowMs = performance.now();
      if (nowMs - lastMs < everyMs) return;
      lastMs = nowMs;
      shown = true;
      process.stderr.write(onTerminal ? `\r\u001b[K${text(state)}` : `${text(state)}\n`);
    },
    say: (text) => void process.stderr.write(`${onTerminal ? '\r\u001b[K' : ''}${text}\n`),
    end() {
      if (shown && onTerminal) process.stderr.write('\r\u001b[K');
    },
  };
}
