import { createInterface } from 'node:readline/promises';
import { CliError, EXIT } from './fail.ts';

/** What a person at the terminal can do: confirm a question, and interrupt a long verb. */

/**
 * Asks on the terminal. Any answer except yes means no, and so does the end of the input. Throws a usage
 * error that begins with `verb` and ends with `otherwise` when there is no terminal.
 */
export async function isConfirmed(question: string, verb: string, otherwise: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new CliError(
      EXIT.usage,
      `${verb} asks for confirmation, and there is no terminal to ask on. Add --yes to confirm${otherwise}`,
    );
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

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The first signal calls `onFirst` and aborts. The second one ends the process at once. SIGHUP never counts
 * as the second: a terminal that is closed sends it twice.
 */
export function onInterrupt(onFirst: () => void = () => undefined) {
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
    /** The exit code that a shell expects: 130 after Ctrl-C. Undefined until a signal comes. */
    get exitCode(): number | undefined {
      return exitCode;
    },
    release(): void {
      for (const name of SIGNALS) process.off(name, handle);
    },
  };
}
