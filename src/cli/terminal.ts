import { createInterface } from 'node:readline/promises';

/** What a person at the terminal can do: confirm a question, and interrupt a long verb. */

/** Asks on the terminal. Any answer except yes means no, and so does the end of the input. */
export async function isConfirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await Promise.race([
      terminal.question(`${question} Type yes: `),
      new Promise<string>((resolve) => terminal.once('close', () => resolve(''))),
    ]);
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** The exit code that a shell expects: 130 after Ctrl-C. Undefined until a signal comes. */
  readonly exitCode: number | undefined;
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The first signal calls `onFirst` and aborts. The second one ends the process at once. SIGHUP never counts
 * as the second: a terminal that is closed sends it twice.
 */
export function onInterrupt(onFirst: () => void = () => undefined): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const handle = (name: NodeJS.Signals, number: number): void => {
    if (exitCode === undefined) {
      exitCode = 128 + number;
      onFirst();
      controller.abort();
    } else if (name !== 'SIGHUP') process.exit(exitCode);
  };
  for (const name of SIGNALS) process.on(name, handle);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    release() {
      for (const name of SIGNALS) process.off(name, handle);
    },
  };
}
