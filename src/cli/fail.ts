import { ConfigError } from '../config/config.ts';

/** Exit codes (contract). */
export const EXIT = { done: 0, failed: 1, usage: 2, outOfReach: 3 } as const;

/** A failure with the exit code it stands for. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What to print, and how to exit, for anything that a verb throws. */
export function explain(error: unknown): { lines: string[]; exitCode: number } {
  if (error instanceof ConfigError) return { lines: [...error.problems], exitCode: EXIT.usage };
  if (error instanceof CliError) return { lines: [error.message], exitCode: error.exitCode };
  // Anything can be thrown, null too.
  const { name, message } = (error ?? {}) as Partial<Error>;
  return { lines: [`${name ?? 'Error'}: ${message ?? String(error)}`], exitCode: EXIT.failed };
}
