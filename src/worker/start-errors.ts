/** A dependency that did not answer at the start. */
export class OutOfReachError extends Error {
  override readonly name = 'OutOfReachError';
}

/** A dependency that answers, but must not be used as it is. */
export class UnfitError extends Error {
  override readonly name = 'UnfitError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join(' '));
    this.problems = problems;
  }
}
