/** A user that does not hold up: nothing was sent. */
export class InvalidUserError extends Error {
  override readonly name = 'InvalidUserError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/** Redis did not take the event. Whether it arrived all the same is unknown after a broken connection: a repeat does no harm. */
export class NotAcceptedError extends Error {
  override readonly name = 'NotAcceptedError';
}

/** What became of one user of a list. */
export type Accepted =
  | { readonly ok: true; readonly eventId: string }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };
