import type { Outcome } from '../event/event.ts';

/** The user is not valid, so nothing was sent. `problems` has one entry for each thing to change. */
export class InvalidUserError extends Error {
  override readonly name = 'InvalidUserError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/**
 * Redis did not accept the event: it is away, or it refused the event, for instance because its memory is
 * full. After a broken connection the event may have arrived. So add the user again: a repeat does no harm.
 */
export class NotAcceptedError extends Error {
  override readonly name = 'NotAcceptedError';
}

/** The result of `addMany` for one user: the ID of the event, or the error. */
export type Accepted =
  | { readonly ok: true; readonly eventId: string }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

/**
 * The result of `importMany` for one user. `outcome` resolves when the outcome is known; it never rejects.
 */
export type Importing =
  | { readonly ok: true; readonly eventId: string; readonly outcome: Promise<ImportOutcome> }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

/**
 * How an event ended. `pending` means that this was not known in time: the event is safe in Redis, and a
 * worker will import it later.
 */
export type ImportOutcome = Outcome | (Omit<Outcome, 'outcome' | 'reason'> & { readonly outcome: 'pending' });
