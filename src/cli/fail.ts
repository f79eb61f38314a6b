import { ConfigError } from '../config/config.ts';

/** The exit codes of all verbs. Deployments rely on them. */
export const EXIT = { done: 0, failed: 1, usage: 2, outOfReach: 3 } as const;

/** A failure with its exit code. The message is printed. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The lines to print and the exit code for anything that a verb throws. */
export function explain(error: unknown): { lines: string[]; exitCode: number } {
  if (error instanceof ConfigError) return { lines: [...error.problems], exitCode: EXIT.usage };
  if (error instanceof CliError) return { lines: [error.message], exitCode: error.exitCode };
  // Any value can be thrown, even null.
  const { name, message } = (error ?? {}) as Partial<Error>;
  return { lines: [`${name ?? 'Error'}: ${message ?? String(error)}`], exitCode: EXIT.failed };
}
