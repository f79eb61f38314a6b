import type { Verdict } from '../../im/verdicts.ts';
import type { DeadReason } from '../../ledger/letters/dead-letters.ts';
import type { Suspicion } from '../../ledger/record.ts';
import { type Decision, type DecisionPolicy, nothing } from './decision.ts';
import {
  type ApiRequest,
  type Commands,
  FOLLOW_UP,
  hasProfile,
  type PendingUser,
  singly,
} from './pending-user.ts';
import { onceMore, released } from './split.ts';

/** What follows for one user whose call failed: another call, a wait, or the end of the event. Pure. */

/** With nobody to compare with, an answer that no table knows is taken for a passing one this many times. */
const UNKNOWN_TRIES = 3;
/** With nobody to compare with, a suspect's fault must last so long: what everybody has for a while looks the same. */
const LONE_MS = 40_000;
/** Every so many failures of a suspect whose fault may pass, the account is tried without its profile. */
const BARE_EVERY = 3;
/** Calls without its profile that must fail as well before the event of a suspect ends: two, or as chance demands. */
const LEAST_BARE_TRIES = 2;

/** One user failed alone: a canary, a part of a call that failed, or the only user of a record. */
export function unexplainedOfOne(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { whose, splitAfter, commands } = policy;
  const [user] = request.users;
  if (user === undefined) return nothing;
  const behind = released(request, commands);
  if (user.suspicion === null) {
    const isLast = verdict.class === 'unknown' && whose === 'lone' && policy.sameAnswers >= UNKNOWN_TRIES;
    if (isLast && behind.length === 0) {
      return user.events.length === 1 && canGoBare(user, policy)
        ? withoutProfile(request, user, verdict, commands)
        : refuse(request, verdict, policy);
    }
    if (policy.expired) return bareOrExpired(request, user, verdict, policy);
    const isTold = !request.first || behind.length > 0 || request.failures + 1 >= splitAfter;
    if (whose !== 'theirs' || !isTold) return onceMore(request, verdict, policy);
  }
  const suspect = suspected(user, verdict, policy);
  return whoFailsAlone({ ...request, users: [suspect] }, suspect, verdict, policy);
}

/** What follows for a suspect. The failure counts only where others pass; where nobody else calls, time does. */
function whoFailsAlone(
  request: ApiRequest,
  user: PendingUser,
  verdict: Verdict,
  policy: DecisionPolicy,
): Decision {
  const { commands } = policy;
  const behind = released(request, commands);
  const mayGoBare = canGoBare(user, policy);
  const bare = (): Decision => withoutProfile(request, user, verdict, commands);
  if (isTransient(verdict)) {
    if (policy.expired) return bareOrExpired(request, user, verdict, policy);
    const failures = failuresThatCount(user, policy);
    if (mayGoBare && failures > 0 && failures % BARE_EVERY === 0) return bare();
  } else if (isProved(user, policy, 0)) {
    if (user.events.length > 1 || !profileCounts(user, commands)) {
      // Every other call of these is without the profile.
      const bareCalls = Math.max(LEAST_BARE_TRIES, 2 * (policy.endAfter - 2));
      if (user.bare === null || isProved(user, policy, bareCalls)) return refuse(request, verdict, policy);
    } else if (mayGoBare) return bare();
    else return refuse(request, verdict, policy);
  }
  // What is tried next time is the whole profile once more.
  return { ...nothing, again: behind, later: [{ ...user, bare: null }] };
}

/** Of a suspect, this one included; 0 if it does not count. */
function failuresThatCount({ suspicion }: PendingUser, { whose, sameAnswers }: DecisionPolicy): number {
  if (whose === 'theirs') return suspicion?.failures ?? 0;
  return whose === 'lone' ? sameAnswers + 1 : 0;
}

/** Neither chance nor what everybody had for a while explains the failures of a suspect, `more` of them besides. */
function isProved(user: PendingUser, policy: DecisionPolicy, more: number): boolean {
  const { whose, endAfter, startedAtMs } = policy;
  const lastsMs = startedAtMs - (user.suspicion?.since ?? startedAtMs);
  return failuresThatCount(user, policy) >= endAfter + more && (whose === 'theirs' || lastsMs >= LONE_MS);
}

/** The same call may pass by itself some day. The account quota is the plan's, whoever it is told to. */
export function isTransient(verdict: Verdict): boolean {
  return verdict.class === 'retry' || verdict.class === 'throttle' || verdict.holdKind === 'quota';
}

/** register_account_v1 carries no profile: leaving it out changes nothing. */
function profileCounts(user: PendingUser, { form }: Commands): boolean {
  return form !== 'hosted' && hasProfile(user);
}

function canGoBare(user: PendingUser, { onProfileFault, commands }: DecisionPolicy): boolean {
  return (
    onProfileFault === 'import-bare' && !user.there && user.bare === null && profileCounts(user, commands)
  );
}

/** The account is tried without its profile; who waited behind goes on. */
function withoutProfile(
  request: ApiRequest,
  user: PendingUser,
  verdict: Verdict,
  commands: Commands,
): Decision {
  // What is known of others by the call with the profile is known for this one.
  const history = { ...FOLLOW_UP, failedAtMs: request.failedAtMs };
  const bare = singly([{ ...user, bare: verdict }], commands.single, history);
  return { ...nothing, again: [...bare, ...released(request, commands)] };
}

/** Too old to be tried again, except once without the profile if that may be the fault. */
function bareOrExpired(
  request: ApiRequest,
  user: PendingUser,
  verdict: Verdict,
  policy: DecisionPolicy,
): Decision {
  if (canGoBare(user, policy)) return withoutProfile(request, user, verdict, policy.commands);
  const reason = user.there ? 'profile' : 'expired';
  return {
    ...nothing,
    refused: user.events.map((entry) => ({ user, entry, reason, verdict })),
    again: released(request, policy.commands),
  };
}

function suspected(user: PendingUser, verdict: Verdict, { whose, startedAtMs }: DecisionPolicy): PendingUser {
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

/** The answer is about this one user; those who waited behind go on. */
export function refuse(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { commands, onProfileFault } = policy;
  const [user] = request.users;
  if (user === undefined) return nothing;
  const behind = released(request, commands);
  const [entry, ...older] = user.events;
  if (entry === undefined) return { ...nothing, again: behind };
  const aboutProfile = (verdict.profileFault || user.there) && profileCounts(user, commands);
  if (older.length === 0 && aboutProfile && !user.there && onProfileFault === 'import-bare')
    return { ...nothing, again: [...singly([{ ...user, bare: verdict }], commands.single), ...behind] };
  // A user never ends without an account while one of their events could have made it.
  const next = older.length > 0 ? [{ ...user, events: older, suspicion: null }] : [];
  return {
    ...nothing,
    refused: [{ user, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
    again: [...singly(next, commands.single), ...behind],
  };
}

function reasonOf(verdict: Verdict, aboutProfile: boolean): DeadReason {
  if (aboutProfile) return 'profile';
  return verdict.class === 'account' || verdict.class === 'body' ? 'rejected' : 'unknown';
}
