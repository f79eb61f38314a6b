import type { Verdict } from '../../im/verdicts.ts';
import type { Suspicion } from '../../ledger/record.ts';
import type { DecisionPolicy } from './decide.ts';
import { type Commands, hasProfile, type PendingUser } from './pending-user.ts';

/** When a suspect's failures are proof enough, and what an account can go without. Pure. */

/** With nobody to compare with, a suspect's fault must last so long: what everybody has for a while looks the same. */
const LONE_MS = 40_000;

/** Of a suspect, this one included; 0 if it does not count. */
export function failuresThatCount(
  { suspicion }: PendingUser,
  { whose, sameAnswers }: DecisionPolicy,
): number {
  if (whose === 'theirs') return suspicion?.failures ?? 0;
  return whose === 'lone' ? sameAnswers + 1 : 0;
}

/** Neither chance nor what everybody had for a while explains the failures of a suspect, `more` of them besides. */
export function isProved(user: PendingUser, policy: DecisionPolicy, more: number): boolean {
  const { whose, endAfter, startedAtMs } = policy;
  const lastsMs = startedAtMs - (user.suspicion?.since ?? startedAtMs);
  return failuresThatCount(user, policy) >= endAfter + more && (whose === 'theirs' || lastsMs >= LONE_MS);
}

/** The same call may pass by itself some day. The account quota is the plan's, whoever it is told to. */
export function isTransient(verdict: Verdict): boolean {
  return verdict.class === 'retry' || verdict.class === 'throttle' || verdict.holdKind === 'quota';
}

/** register_account_v1 carries no profile: leaving it out changes nothing. */
export function profileCounts(user: PendingUser, { form }: Commands): boolean {
  return form !== 'hosted' && hasProfile(user);
}

export function canGoBare(user: PendingUser, { onProfileFault, commands }: DecisionPolicy): boolean {
  return (
    onProfileFault === 'import-bare' && !user.there && user.bare === null && profileCounts(user, commands)
  );
}

export function suspected(
  user: PendingUser,
  verdict: Verdict,
  { whose, startedAtMs }: DecisionPolicy,
): PendingUser {
  const before = user.suspicion;
  const isSame =
    isTransient(verdict) ||
    (before?.errorCode === verdict.errorCode && before.httpStatus === verdict.httpStatus);
  // A new fault that does not pass may be everybody's: it counts from the next time on.
  const failures = before === null ? 0 : isSame ? before.failures : -1;
  const suspicion: Suspicion = {
    since: before?.since ?? Math.round(startedAtMs),
    failures: Math.max(0, failures + (whose === 'theirs' ? 1 : 0)),
    errorCode: verdict.errorCode,
    httpStatus: verdict.httpStatus,
    errorInfo: verdict.errorInfo || verdict.meaning,
    hasAccount: before?.hasAccount ?? false,
  };
  return { ...user, suspicion };
}
