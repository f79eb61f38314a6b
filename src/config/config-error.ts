/**
 * A configuration that cannot be used.
 *
 * `problems` holds everything that is wrong with it, a full sentence each, fit for standard error and free of
 * secrets. Whoever runs a verb prints them and exits with 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Throws a {@link ConfigError} if there are problems. */
export function refuseOn(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
