import type { ValidEntry } from '../../event/event.ts';
import type { ImportCommand } from '../../im/bodies.ts';
import type { Verdict } from '../../im/verdicts.ts';
import type { DeadReason } from '../../ledger/letters/dead-letters.ts';
import {
  type ApiRequest,
  type Commands,
  everybodyIn,
  FOLLOW_UP,
  hasProfile,
  type PendingUser,
  singly,
} from './pending-user.ts';
import { canaryOf, halvesOf, partsOf, released, watched } from './split.ts';
import { canGoBare, failuresThatCount, isProved, isTransient, profileCounts, suspected } from './suspects.ts';

/** An event that ends as a dead letter, and the answer that says so. */
export interface Refused {
  readonly user: PendingUser;
  readonly entry: ValidEntry;
  readonly reason: DeadReason;
  readonly verdict: Verdict;
}

/**
 * Whether the user certainly has an account though this event ended here: it was imported without the profile, or
 * account_check found it. False also while an older event of the user may still make one.
 */
export function hasAccount({ user, reason }: Refused): boolean {
  return user.there || (reason === 'profile' && user.bare !== null);
}

/** What one answer means for every user of its call: each of them stands in exactly one of the lists below. */
export interface Decision {
  /** Their newest event is in; older ones are superseded. */
  readonly imported: readonly PendingUser[];
  /** Events that end. Their users are done, unless an older event of theirs stands in `again`. */
  readonly refused: readonly Refused[];
  /** Calls that follow in this run. */
  readonly again: readonly ApiRequest[];
  /** To be called again after a while. */
  readonly later: readonly PendingUser[];
}

/** Whose fault a failure is that no code explains, by what is known of others (pace/hold/hold-state.ts). */
export type Whose =
  /** Calls of others have passed since these users failed: the fault follows them. */
  | 'theirs'
  /** Nobody else failed and nobody passed: there is nobody to compare with. */
  | 'lone'
  | 'unknown';

export interface DecisionPolicy {
  readonly commands: Commands;
  readonly onProfileFault: 'import-bare' | 'dead-letter';
  readonly whose: Whose;
  /** Calls of the same users in a row that must fail before their fault is looked for among them: two at least. */
  readonly splitAfter: number;
  /** Calls of a suspect alone that must fail before the event ends: three at least, and more than chance explains. */
  readonly endAfter: number;
  /** When the call started, ms since 1970, Redis's clock. */
  readonly startedAtMs: number;
  /** Earlier answers of this record with the same code. */
  readonly sameAnswers: number;
  /** Too old to be tried again. */
  readonly expired: boolean;
}

/** With nobody to compare with, an answer that no table knows is taken for a passing one this many times. */
const UNKNOWN_TRIES = 3;
/** Calls of others that passed so long before a call count for its parts. */
const FRESH_MS = 1_000;
/** Every so many failures of a suspect whose fault may pass, the account is tried without its profile. */
const BARE_EVERY = 3;
/** Calls without its profile that must fail as well before the event of a suspect ends: two, or as chance demands. */
const LEAST_BARE_TRIES = 2;

const nothing: Decision = { imported: [], refused: [], again: [], later: [] };

/**
 * What the answer to a call means for each of its users, and for those behind it. Pure.
 *
 * Codes of class `account` and `body` name the request as the cause: it is split at once, and who is refused alone ends.
 * Whatever else fails (`retry`, `unknown`, and `app` and `throttle` once others pass) says nothing of whom it is about. The
 * users wait together until calls of others have passed; then they are split, and who goes on failing alone is a suspect.
 */
export function decide(
  request: ApiRequest,
  verdict: Verdict,
  failAccounts: readonly string[],
  policy: DecisionPolicy,
): Decision {
  const { commands } = policy;
  switch (verdict.class) {
    case 'done':
      return done(request, failAccounts, policy);
    case 'account':
    case 'body':
      if (request.users.length === 1) return refuse(request, verdict, policy);
      return {
        ...nothing,
        again: verdict.tooLarge
          ? watched(request, halvesOf(request, commands), commands, true)
          : partsOf(request, commands, 0, 0),
      };
    case 'retry':
    case 'unknown':
    case 'app':
    case 'throttle':
      return request.users.length > 1
        ? unexplainedOfMany(request, verdict, policy)
        : unexplainedOfOne(request, verdict, policy);
  }
}

/** Several users failed together. They wait together, or are told apart; together nobody ends. */
function unexplainedOfMany(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { whose, splitAfter, startedAtMs, commands } = policy;
  const failures = request.failures + 1;
  if (policy.expired || (whose === 'theirs' && failures >= splitAfter)) {
    // A part has failed with the others once; the rate has adapted to all of them already.
    const shared = verdict.class === 'throttle' ? request.failures : 1;
    // Passes are noted now and then, so that those of a moment before count; older ones tell nothing of what began since.
    const parts = partsOf(request, commands, shared, Math.max(request.failedAtMs, startedAtMs - FRESH_MS));
    return { ...nothing, again: watched(request, parts, commands, false) };
  }
  if (!request.first && whose !== 'theirs') {
    // If each part of a call holds a cause, none of them passes. Then one user alone has to tell.
    const failedAtMs = request.failedAtMs || startedAtMs;
    return { ...nothing, again: [canaryOf({ ...request, failures, failedAtMs }, commands)] };
  }
  return onceMore(request, verdict, policy);
}

/** The same users together: after a while, or at once where only the fleet was the reason to wait. */
function onceMore(request: ApiRequest, verdict: Verdict, { whose, startedAtMs }: DecisionPolicy): Decision {
  const spendsAnAttempt = verdict.class === 'retry' || verdict.class === 'unknown';
  if (whose !== 'theirs' || (spendsAnAttempt && request.first))
    return { ...nothing, later: everybodyIn(request) };
  const next = {
    ...request,
    failures: request.failures + 1,
    unluckyFailures: request.unluckyFailures + 1,
    failedAtMs: request.failedAtMs || startedAtMs,
  };
  return { ...nothing, again: [next] };
}

/** One user failed alone: a canary, a part of a call that failed, or the only user of a record. */
function unexplainedOfOne(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
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

/** Too old to be tried again: but once more without the profile, if that may be the fault. */
function bareOrExpired(
  request: ApiRequest,
  user: PendingUser,
  verdict: Verdict,
  policy: DecisionPolicy,
): Decision {
  return canGoBare(user, policy)
    ? withoutProfile(request, user, verdict, policy.commands)
    : expire(request, user, verdict, policy);
}

/** Too old to be tried again, whatever it was that failed. */
function expire(
  request: ApiRequest,
  user: PendingUser,
  verdict: Verdict,
  { commands }: DecisionPolicy,
): Decision {
  const reason = user.there ? ('profile' as const) : ('expired' as const);
  return {
    ...nothing,
    refused: user.events.map((entry) => ({ user, entry, reason, verdict })),
    again: released(request, commands),
  };
}

/** FailAccounts may name IDs that were never sent (the documented sample does): only those of the call count. */
function done(request: ApiRequest, failAccounts: readonly string[], policy: DecisionPolicy): Decision {
  const failing = new Set(failAccounts);
  const failed = failing.size === 0 ? [] : request.users.filter(({ userId }) => failing.has(userId));
  const passed =
    failing.size === 0 ? request.users : request.users.filter(({ userId }) => !failing.has(userId));
  const again = failed.filter((user) => !user.failed).map((user) => ({ ...user, failed: true }));
  const alone = failed.filter((user) => user.failed);
  const { commands } = policy;
  const { imported, refused, later } = ended(passed, policy.expired);
  return {
    imported,
    refused,
    again: [
      ...(again.length > 0 ? [{ command: request.command, users: again, ...FOLLOW_UP }] : []),
      ...askedFirst(alone, commands.single),
      ...released(request, commands),
    ],
    later,
  };
}

/**
 * What account_check said of users who came back in FailAccounts twice (`there`: userId to whether the account
 * exists; a user whom it did not settle is not in it). Who is there and has no profile to hand over is imported.
 * Everybody else is called alone: an account that is there may still have its old profile, which a check does
 * not show.
 */
export function decideChecked(
  request: ApiRequest,
  there: ReadonlyMap<string, boolean>,
  commands: Commands,
): Decision {
  const done = request.users.filter((user) => there.get(user.userId) === true && !hasProfile(user));
  const open = request.users.filter((user) => !done.includes(user));
  const known = open.map((user) => ({ ...user, there: there.get(user.userId) === true }));
  return { again: singly(known, commands.single), ...ended(done, false) };
}

/** One check for all of several users may save most of their single calls; for one user it saves nothing. */
function askedFirst(alone: readonly PendingUser[], single: ImportCommand): ApiRequest[] {
  return alone.length > 1
    ? [{ command: 'account_check', users: alone, ...FOLLOW_UP }]
    : singly(alone, single);
}

/**
 * What becomes of users whose call passed. One who went without the profile has an account now: the event ends with a
 * letter of its profile, or, where the profile's fault may pass, goes on being tried.
 */
function ended(
  users: readonly PendingUser[],
  expired: boolean,
): Pick<Decision, 'imported' | 'refused' | 'later'> {
  const refused: Refused[] = [];
  const later: PendingUser[] = [];
  for (const user of users) {
    const { bare, suspicion } = user;
    if (bare === null) continue;
    if (isTransient(bare) && suspicion !== null && !expired)
      later.push({ ...user, bare: null, there: true, suspicion: { ...suspicion, hasAccount: true } });
    else
      refused.push(
        ...user.events.map((entry) => ({ user, entry, reason: 'profile' as const, verdict: bare })),
      );
  }
  return { imported: users.filter(({ bare }) => bare === null), refused, later };
}

/** The answer is about this one user; who waited behind goes on without them. */
function refuse(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { commands } = policy;
  const [user] = request.users;
  if (user === undefined) return nothing;
  const others = released(request, commands);
  const [entry, ...older] = user.events;
  if (entry === undefined) return { ...nothing, again: others };
  const aboutProfile = (verdict.profileFault || user.there) && profileCounts(user, commands);
  // A user never ends without an account while one of their events could have made it.
  if (older.length > 0) {
    return {
      ...nothing,
      refused: [{ user, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
      again: [...singly([{ ...user, events: older, suspicion: null }], commands.single), ...others],
    };
  }
  if (aboutProfile && !user.there && policy.onProfileFault === 'import-bare') {
    return { ...nothing, again: [...singly([{ ...user, bare: verdict }], commands.single), ...others] };
  }
  return {
    ...nothing,
    refused: [{ user, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
    again: others,
  };
}

function reasonOf(verdict: Verdict, aboutProfile: boolean): DeadReason {
  if (aboutProfile) return 'profile';
  return verdict.class === 'account' || verdict.class === 'body' ? 'rejected' : 'unknown';
}
