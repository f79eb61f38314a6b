import { MAX_PROFILE_BYTES } from '../../event/fields.ts';
import type { ImportCommand } from '../../im/bodies.ts';
import type { ApiForm } from '../../im/commands.ts';
import type { Verdict } from '../../im/verdicts.ts';
import { type Decision, type DecisionPolicy, nothing, type Refused } from './decision.ts';
import { failsAlone, isTransient } from './fails-alone.ts';
import {
  type ApiRequest,
  type Commands,
  FOLLOW_UP,
  hasProfile,
  type PendingUser,
  singly,
} from './pending-user.ts';
import { asPartsOf, canaryOf, onceMore, partsOf, released } from './split.ts';

/** What becomes of the users of a call: before it (`preflight`), and by its answer (`decide`). Pure. */

/** What the API would answer to a profile that is too long (API reference, account_import). */
export const TOO_LONG: Verdict = {
  class: 'body',
  errorCode: 40601,
  errorInfo: `not sent: nick or faceUrl takes more than ${MAX_PROFILE_BYTES} bytes`,
  httpStatus: 0,
  outcomeKnown: true,
  meaning: 'the value of a profile field is too long',
  profileFault: true,
};
/** Calls of others that passed so long before a call count for its parts. */
const FRESH_MS = 1_000;

/**
 * Keeps profiles that the API is sure to refuse out of a call, so that they cost the others nothing: an older
 * event takes their place, or the account goes without a profile, or (if so configured) the event ends here.
 */
export function preflight(
  users: readonly PendingUser[],
  onProfileFault: DecisionPolicy['onProfileFault'],
  form: ApiForm = 'current',
): { users: PendingUser[]; refused: Refused[] } {
  // register_account_v1 has no profile: what is not sent cannot be refused.
  if (form === 'hosted') return { users: [...users], refused: [] };
  const passed: PendingUser[] = [];
  const refused: Refused[] = [];
  for (const user of users) {
    const { bare, events } = user;
    const fitting = events.findIndex(({ tooLong }) => tooLong.length === 0);
    if (bare !== null || fitting === 0) {
      passed.push(user);
      continue;
    }
    const goesBare = fitting < 0 && onProfileFault === 'import-bare';
    const kept = fitting >= 0 ? events.slice(fitting) : events.slice(goesBare ? -1 : events.length);
    for (const [i, entry] of events.slice(0, events.length - kept.length).entries())
      refused.push({
        user: { ...user, events: events.slice(i) },
        entry,
        reason: 'profile',
        verdict: TOO_LONG,
      });
    if (kept.length > 0) passed.push({ ...user, events: kept, bare: goesBare ? TOO_LONG : null });
  }
  return { users: passed, refused };
}

/**
 * What the answer to a call means for each of its users, and for those behind it.
 *
 * Codes of class `account` and `body` name the request as the cause: it is split at once, and a user who is
 * refused alone ends. Other failures (`retry`, `unknown`, and `app` and `throttle` once others pass) do not
 * tell whose fault they are. The users wait together until calls of others have passed. Then they are split,
 * and a user who goes on failing alone is a suspect.
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
    case 'body': {
      if (request.users.length === 1) return failsAlone(request, verdict, policy);
      const parts = partsOf(request, commands, 0, 0);
      return { ...nothing, again: verdict.tooLarge ? asPartsOf(request, parts, commands, true) : parts };
    }
    case 'retry':
    case 'unknown':
    case 'app':
    case 'throttle':
      return request.users.length > 1
        ? unexplainedOfMany(request, verdict, policy)
        : failsAlone(request, verdict, policy);
  }
}

/** Several users failed together. They wait together, or are told apart; together nobody ends. */
function unexplainedOfMany(request: ApiRequest, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { whose, splitAfter, startedAtMs, commands } = policy;
  const failures = request.failures + 1;
  if (policy.expired || (whose === 'theirs' && failures >= splitAfter)) {
    // A part has failed with the others once; the rate has adapted to all of them already.
    const failuresOfParts = verdict.class === 'throttle' ? request.failures : 1;
    // Passes are noted at intervals, so those of a moment before count. Older ones may precede the fault.
    const failedAtMs = Math.max(request.failedAtMs, startedAtMs - FRESH_MS);
    const parts = partsOf(request, commands, failuresOfParts, failedAtMs);
    return { ...nothing, again: asPartsOf(request, parts, commands, false) };
  }
  if (!request.first && whose !== 'theirs') {
    // If each part of a call holds a cause, none of them passes. Then one user alone has to tell.
    const failedAtMs = request.failedAtMs || startedAtMs;
    return { ...nothing, again: [canaryOf({ ...request, failures, failedAtMs }, commands)] };
  }
  return onceMore(request, verdict, policy);
}

/** FailAccounts may name IDs that were never sent, as the documented sample does. Those do not count. */
function done(request: ApiRequest, failAccounts: readonly string[], policy: DecisionPolicy): Decision {
  const failing = new Set(failAccounts);
  const passed = request.users.filter(({ userId }) => !failing.has(userId));
  const failed = request.users.filter(({ userId }) => failing.has(userId));
  const again = failed
    .filter((user) => !user.inFailAccounts)
    .map((user) => ({ ...user, inFailAccounts: true }));
  const twice = failed.filter((user) => user.inFailAccounts);
  const { commands } = policy;
  const { imported, refused, later } = ended(passed, policy.expired);
  return {
    imported,
    refused,
    again: [
      ...(again.length > 0 ? [{ command: request.command, users: again, ...FOLLOW_UP }] : []),
      ...checkedFirst(twice, commands.single),
      ...released(request, commands),
    ],
    later,
  };
}

/**
 * What account_check said of users who came back in FailAccounts twice. `exists`: userId to whether the
 * account exists, if the check told. A user who exists and has no profile to hand over is imported. All
 * others are called alone: an account that exists may still have its old profile, which a check does not
 * show.
 */
export function decideChecked(
  request: ApiRequest,
  exists: ReadonlyMap<string, boolean>,
  commands: Commands,
): Decision {
  const done = request.users.filter((user) => exists.get(user.userId) === true && !hasProfile(user));
  const open = request.users.filter((user) => !done.includes(user));
  const known = open.map((user) => ({ ...user, exists: exists.get(user.userId) === true }));
  return { again: singly(known, commands.single), ...ended(done, false) };
}

/** One check for all of several users may save most of their single calls; for one user it saves nothing. */
function checkedFirst(users: readonly PendingUser[], single: ImportCommand): ApiRequest[] {
  return users.length > 1 ? [{ command: 'account_check', users, ...FOLLOW_UP }] : singly(users, single);
}

/**
 * What becomes of users whose call passed. A user who went without the profile has an account now. The event
 * ends with a dead letter of its profile, or is tried again if the profile's fault may pass.
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
      later.push({ ...user, bare: null, exists: true, suspicion: { ...suspicion, hasAccount: true } });
    else
      refused.push(
        ...user.events.map((entry) => ({ user, entry, reason: 'profile' as const, verdict: bare })),
      );
  }
  return { imported: users.filter(({ bare }) => bare === null), refused, later };
}
