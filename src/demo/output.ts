/** The output of the demo: permanent lines, and on a terminal a block below them that is redrawn. */
export interface Output {
  readonly isTerminal: boolean;
  /** The terminal's columns, or 80 without a terminal. */
  readonly columns: number;
  line(text?: string): void;
  /** Redraws the block. An empty one removes it. Does nothing without a terminal. */
  block(lines: readonly string[]): void;
}

export function createOutput(stream: NodeJS.WriteStream): Output {
  const isTerminal = stream.isTTY === true;
  let drawn = 0;
  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\x1b[0J`);
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 80;
    },
    line(text = '') {
      stream.write(`${erase()}${text}\n`);
      drawn = 0;
    },
    block(lines) {
      if (!isTerminal) return;
      // A wrapped line would take two rows, and the next redraw would erase only one of them.
      const fitting = lines.map((line) => [...line].slice(0, (stream.columns ?? 80) - 1).join(''));
      stream.write(erase() + fitting.map((line) => `${line}\n`).join(''));
      drawn = lines.length;
    },
  };
}

/** The demo cannot go on. `outOfReach` means that something is missing on this machine. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  readonly outOfReach: boolean;
  constructor(message: string, outOfReach = false) {
    super(message);
    this.outOfReach = outOfReach;
  }
}
