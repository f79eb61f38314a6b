/** How an event ended. The worker publishes it on the `replyTo` channel, one JSON object per message. */
export interface Outcome {
  readonly eventId: string;
  /** The given user ID, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  /**
   * - `imported`: the account has this event's profile.
   * - `superseded`: a newer event of the user was imported in its place.
   * - `dead-lettered`: the profile or the whole account was not imported; see `reason`.
   */
  readonly outcome: 'imported' | 'superseded' | 'dead-lettered';
  /** The API's error code; 0 if it gave none. */
  readonly errorCode: number;
  /**
   * Why it was dead-lettered; absent otherwise.
   * - `invalid`: the event itself is wrong.
   * - `rejected`: the API refuses this account.
   * - `profile`: the API refuses the nick or the picture.
   * - `expired`: the event was tried for IMSYNC_RETRY_MAX_AGE_MS without success.
   * - `unknown`: the API answers with an error code that no table lists.
   */
  readonly reason?: 'invalid' | 'rejected' | 'profile' | 'expired' | 'unknown';
  /**
   * True if the user certainly has an account now, so that a message can reach them. It is also true when a
   * newer event was imported instead, and when the account was imported without its refused profile.
   */
  readonly hasAccount: boolean;
}

/** Reads a message; undefined if it is no outcome. Messages of the previous version have no `hasAccount`. */
export function readOutcome(message: string): Outcome | undefined {
  let read: Partial<Outcome> | null;
  try {
    read = JSON.parse(message) as Partial<Outcome> | null;
  } catch {
    return undefined;
  }
  if (typeof read?.eventId !== 'string' || typeof read.outcome !== 'string') return undefined;
  const { eventId, userId = '', outcome, errorCode = 0, reason } = read;
  return {
    eventId,
    userId,
    outcome,
    errorCode,
    ...(reason !== undefined && { reason }),
    hasAccount: read.hasAccount ?? outcome !== 'dead-lettered',
  };
}
