/** Where the demo writes: lines that stay, and on a terminal a block below them that is drawn over. */
export interface Output {
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 without one. */
  readonly columns: number;
  line(text?: string): void;
  /** Draws the block anew; an empty one takes it away. Does nothing without a terminal. */
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
      // A line that wraps would take two rows, and the next drawing would leave one of them behind.
      const fitting = lines.map((line) => [...line].slice(0, (stream.columns ?? 80) - 1).join(''));
      stream.write(erase() + fitting.map((line) => `${line}\n`).join(''));
      drawn = lines.length;
    },
  };
}
