/** How an event ended, as who asked by `replyTo` hears it: one JSON object a message. */
export interface Outcome {
  readonly eventId: string;
  /** As it came, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  /**
   * - `imported`: the account has this event's profile.
   * - `superseded`: a newer event of the user was imported in its place.
   * - `dead-lettered`: the event ended without its profile, or without an account; see `reason`.
   */
  readonly outcome: 'imported' | 'superseded' | 'dead-lettered';
  /** The API's, 0 if it gave none. */
  readonly errorCode: number;
  /** Why it was dead-lettered; absent otherwise. */
  readonly reason?: 'invalid' | 'rejected' | 'profile' | 'expired' | 'unknown';
  /**
   * True when the user certainly has an account now, so that a message can reach them: also when a newer event
   * was imported instead, and when the account was imported without its refused profile.
   */
  readonly hasAccount: boolean;
}

/** Reads a message; undefined when it is none of ours. Messages of the version before have no `hasAccount`. */
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
