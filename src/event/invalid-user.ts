/**
 * The user is not valid, so nothing was sent. `problems` has one entry for each thing to change.
 *
 * @example
 * await producer.add({ userId: 'has blank' }).catch((error) => {
 *   if (error instanceof InvalidUserError) console.error(error.problems); // one sentence each
 * });
 */
export class InvalidUserError extends Error {
  override readonly name = 'InvalidUserError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}
