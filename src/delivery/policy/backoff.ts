import type { Verdict } from '../../im/verdicts.ts';
import type { Whose } from './decision.ts';
import type { PendingUser } from './pending-user.ts';

/** When a call that failed for a passing reason is made again. Pure. */

/**
 * After this a call can no longer take effect: the service's own time-out is 3 s (REST API overview), and one
 * more second allows for the way there. Until then nothing newer of its users may be sent.
 */
export const LANDING_MS = 4_000;

/** Full-jitter exponential back-off. `tries`: failures before this one. `random`: 0 ≤ r < 1. */
export function backoffMs(tries: number, limits: { baseMs: number; maxMs: number }, random: number): number {
  return random * Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(tries, 30));
}

/** A suspect whose fault does not pass is called a bounded number of times, so the delay stays short. */
const MOST_SUSPECT_MS = 5_000;

/** When users whose call failed are called again, as a time on the clock of `nowMs` and `sentAtMs`. */
export function retryAtMs(failure: {
  readonly users: readonly PendingUser[];
  readonly whose: Whose;
  readonly verdict: Pick<Verdict, 'class' | 'outcomeKnown'>;
  /** Failures of the record before this one. */
  readonly tries: number;
  readonly limits: { readonly baseMs: number; readonly maxMs: number };
  readonly random: number;
  readonly sentAtMs: number;
  readonly nowMs: number;
}): number {
  const { users, whose, verdict, tries, limits, random, sentAtMs, nowMs } = failure;
  const isAskedSoon = verdict.class === 'unknown' || verdict.class === 'app';
  const own = isAskedSoon ? suspectFailures(users[0], whose, tries) : undefined;
  const maxMs = own === undefined ? limits.maxMs : Math.min(limits.maxMs, MOST_SUSPECT_MS);
  const dueMs = nowMs + backoffMs(own ?? tries, { baseMs: limits.baseMs, maxMs }, random);
  // A call without an answer is left alone until it can no longer land.
  return verdict.outcomeKnown ? dueMs : Math.max(dueMs, sentAtMs + LANDING_MS);
}

/**
 * Failures by which a suspect's delay grows, this one included. Undefined if this one does not count: then it
 * brings the end no nearer, and there may be any number of them. With nobody to compare with, time counts
 * (fails-alone.ts).
 */
function suspectFailures(user: PendingUser | undefined, whose: Whose, tries: number): number | undefined {
  if (!user?.suspicion) return undefined;
  if (whose === 'theirs') return user.suspicion.failures;
  return whose === 'lone' ? tries : undefined;
}
