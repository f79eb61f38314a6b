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

/** A user whose call failed, and who was alone in it. */
interface Failed {
  readonly request: ApiRequest;
  readonly user: PendingUser;
  readonly verdict: Verdict;
  readonly policy: DecisionPolicy;
  /** The call of the users who waited behind this one. They go on, whatever becomes of this one. */
  readonly behind: readonly ApiRequest[];
}

/** With nobody to compare with, an answer that no table knows is taken for a passing one this many times. */
const UNKNOWN_TRIES = 3;
/** With nobody to compare with, a suspect's fault must last so long: it may be everybody's, and pass. */
const LONE_MS = 40_000;
/** And for so long more for each call without the profile that must fail as well. */
const LONE_BARE_MS = 5_000;
/** Every so many failures of a suspect whose fault may pass, the account is tried without its profile. */
const BARE_EVERY = 3;
/** Calls without the profile that must fail too before a suspect's event ends: two, or as chance demands. */
const LEAST_BARE_TRIES = 2;

/** One user failed alone: a canary, a part of a call that failed, or the only user of a record. */
export function failsAlone(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const [user] = request.users;
  if (user === undefined) return nothing;
  const failed = { request, user, verdict, policy, behind: released(request, policy.commands) };
  return verdict.class === 'account' || verdict.class === 'body' ? refuse(failed) : unexplained(failed);
}

/** No code says that the user is the cause. */
function unexplained(failed: Failed): Decision {
  const { request, user, verdict, policy, behind } = failed;
  const { whose, splitAfter, sameAnswers } = policy;
  if (user.suspicion === null) {
    const isLast = verdict.class === 'unknown' && whose === 'lone' && sameAnswers >= UNKNOWN_TRIES;
    if (isLast && behind.length === 0)
      return user.events.length === 1 && canGoBare(failed) ? withoutProfile(failed) : refuse(failed);
    if (policy.expired) return bareOrExpired(failed);
    const suffices = !request.first || behind.length > 0 || request.failures + 1 >= splitAfter;
    if (whose !== 'theirs' || !suffices) return onceMore(request, verdict, policy);
  }
  return suspectFails({ ...failed, user: { ...user, suspicion: suspicionOf(failed) } });
}

/** What follows for a suspect. The failure counts only if others pass; if nobody else calls, time counts. */
function suspectFails(failed: Failed): Decision {
  const { user, verdict, policy, behind } = failed;
  if (isTransient(verdict)) {
    if (policy.expired) return bareOrExpired(failed);
    const failures = failuresThatCount(failed);
    if (canGoBare(failed) && failures > 0 && failures % BARE_EVERY === 0) return withoutProfile(failed);
  } else if (isProved(failed, 0)) {
    if (user.events.length === 1 && profileCounts(user, policy.commands))
      return canGoBare(failed) ? withoutProfile(failed) : refuse(failed);
    // Every other call of these is without the profile.
    const bareCalls = Math.max(LEAST_BARE_TRIES, 2 * (policy.endAfter - 2));
    if (user.bare === null || isProved(failed, bareCalls)) return refuse(failed);
  } else if (policy.expired) return bareOrExpired(failed);
  // What is tried next time is the whole profile once more.
  return { ...nothing, again: behind, later: [{ ...user, bare: null }] };
}

/** Failures of a suspect, this one included; 0 if this one does not count. */
function failuresThatCount({ user, policy }: Failed): number {
  if (policy.whose === 'theirs') return user.suspicion?.failures ?? 0;
  return policy.whose === 'lone' ? policy.sameAnswers + 1 : 0;
}

/** Neither chance nor a passing fault of everybody explains the failures of a suspect and `more` of them. */
function isProved(failed: Failed, more: number): boolean {
  const { whose, endAfter, startedAtMs } = failed.policy;
  const lastsMs = startedAtMs - (failed.user.suspicion?.since ?? startedAtMs);
  return (
    failuresThatCount(failed) >= endAfter + more &&
    (whose === 'theirs' || lastsMs >= LONE_MS + more * LONE_BARE_MS)
  );
}

/** The same call may pass by itself some day. The account quota is the plan's, not the user's. */
export function isTransient(verdict: Verdict): boolean {
  return verdict.class === 'retry' || verdict.class === 'throttle' || verdict.holdKind === 'quota';
}

/** register_account_v1 carries no profile: leaving it out changes nothing. */
function profileCounts(user: PendingUser, { form }: Commands): boolean {
  return form !== 'hosted' && hasProfile(user);
}

function canGoBare({ user, policy }: Failed): boolean {
  const { onProfileFault, commands } = policy;
  const isAllowed = onProfileFault === 'import-bare' && !user.exists && user.bare === null;
  return isAllowed && profileCounts(user, commands);
}

/** The account is tried without its profile. */
function withoutProfile({ request, user, verdict, policy, behind }: Failed): Decision {
  // What is known of others by the call with the profile is known for this one.
  const history = { ...FOLLOW_UP, failedAtMs: request.failedAtMs };
  const bare = singly([{ ...user, bare: verdict }], policy.commands.single, history);
  return { ...nothing, again: [...bare, ...behind] };
}

/** Too old to be tried again, except once without the profile if that may be the fault. */
function bareOrExpired(failed: Failed): Decision {
  if (canGoBare(failed)) return withoutProfile(failed);
  const { user, verdict, behind } = failed;
  const reason = user.exists ? 'profile' : 'expired';
  const refused = user.events.map((entry) => ({ user, entry, reason, verdict }) as const);
  return { ...nothing, refused, again: behind };
}

function suspicionOf({ user, verdict, policy }: Failed): Suspicion {
  const before = user.suspicion;
  return {
    since: before?.since ?? Math.round(policy.startedAtMs),
    // Whatever the answer: some faults answer with another code each time.
    failures: (before?.failures ?? 0) + (policy.whose === 'theirs' ? 1 : 0),
    errorCode: verdict.errorCode,
    httpStatus: verdict.httpStatus,
    errorInfo: verdict.errorInfo || verdict.meaning,
    hasAccount: before?.hasAccount ?? false,
  };
}

/** The answer is about this one user: the event ends, or its profile does. */
function refuse({ user, verdict, policy, behind }: Failed): Decision {
  const { commands, onProfileFault } = policy;
  const [entry, ...older] = user.events;
  if (entry === undefined) return { ...nothing, again: behind };
  const aboutProfile = (verdict.profileFault || user.exists) && profileCounts(user, commands);
  if (older.length === 0 && aboutProfile && !user.exists && onProfileFault === 'import-bare')
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
