import type { VerdictClass } from '../../im/verdict-rows.ts';
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

/**
 * When to call again, as a time on the clock of `nowMs`. A call whose outcome is unknown is left alone until it
 * can no longer land.
 */
export function dueAtMs(failure: {
  readonly nowMs: number;
  readonly sentAtMs: number;
  readonly outcomeKnown: boolean;
  readonly delayMs: number;
}): number {
  const due = failure.nowMs + failure.delayMs;
  return failure.outcomeKnown ? due : Math.max(due, failure.sentAtMs + LANDING_MS);
}

/** A suspect whose fault does not pass is called a bounded number of times, so the delay stays short. */
const MOST_SUSPECT_MS = 5_000;

/**
 * How long users wait that failed. `suspectFailures`: failures of a suspect alone, where this one counts; undefined for
 * anybody else.
 */
export function retryDelayMs(failure: {
  readonly tries: number;
  readonly suspectFailures: number | undefined;
  readonly verdictClass: VerdictClass;
  readonly limits: { readonly baseMs: number; readonly maxMs: number };
  readonly random: number;
}): number {
  const { tries, suspectFailures, verdictClass, limits, random } = failure;
  const isAskedSoon = verdictClass === 'unknown' || verdictClass === 'app';
  if (suspectFailures === undefined || !isAskedSoon) return backoffMs(tries, limits, random);
  return backoffMs(
    suspectFailures,
    { baseMs: limits.baseMs, maxMs: Math.min(limits.maxMs, MOST_SUSPECT_MS) },
    random,
  );
}

/**
 * Failures of a suspect by which the delay grows; undefined if this one does not count: then it brings the end no nearer, and
 * there may be any number of them. With nobody to compare with it is time that counts (fails-alone.ts).
 */
export function suspectFailures(
  [user]: readonly PendingUser[],
  whose: Whose,
  tries: number,
): number | undefined {
  if (!user?.suspicion) return undefined;
  if (whose === 'theirs') return user.suspicion.failures;
  return whose === 'lone' ? tries : undefined;
}
