import type { Outcome } from '../event/outcome.ts';

/** How a request asked to wait hears of an event. */
export interface ToldOutcome extends Pick<Outcome, 'errorCode' | 'reason' | 'hasAccount'> {
  /** `pending`: not known in time; it will be worked off all the same. */
  readonly outcome: Outcome['outcome'] | 'pending';
}

/** What became of one user of a request. */
export type UserResult = {
  /** Position in the body, from 0; blank lines of NDJSON do not count. */
  readonly index: number;
  /** As it came, cut to 200 characters; absent when there was none, or no text. */
  readonly userId?: string;
} & (
  | ({ readonly eventId: string } & Partial<ToldOutcome>)
  | {
      /** `invalid`: the user does not hold up. `not-accepted`: Redis did not acknowledge it. */
      readonly error: 'invalid' | 'not-accepted';
      readonly reasons: readonly string[];
    }
);

/** The answer to a request whose body could be read. */
export interface ResultsBody {
  readonly accepted: number;
  readonly refused: number;
  readonly results: readonly UserResult[];
}

/**
 * The status that tells the truth about all of them: 202 when Redis has every user, 207 when it has some. When it
 * has none: 400 when no user holds up, 503 when a repeat may go better. Pure.
 */
export function statusOf(results: readonly UserResult[]): 202 | 207 | 400 | 503 {
  const accepted = results.filter((result) => 'eventId' in result).length;
  if (accepted === results.length) return 202;
  if (accepted > 0) return 207;
  return results.some((result) => 'error' in result && result.error === 'not-accepted') ? 503 : 400;
}

export function bodyOf(results: readonly UserResult[]): ResultsBody {
  const accepted = results.filter((result) => 'eventId' in result).length;
  return { accepted, refused: results.length - accepted, results };
}
