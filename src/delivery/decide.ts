import type { ValidEntry } from '../event/event.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { DeadReason } from '../ledger/dead-letters.ts';
import { passedSearch, refusedSearch, waitingFor } from './search.ts';
import { type Commands, candidateOf, type Group, groupsOf, hasProfile, singly, type Unit } from './unit.ts';

/** An event that ends as a dead letter, and the answer that says so. */
export interface Refused {
  readonly unit: Unit;
  readonly entry: ValidEntry;
  readonly reason: DeadReason;
  readonly verdict: Verdict;
}

/**
 * Whether the user certainly has an account though this event ended here: it was imported without the profile, or
 * account_check found it. False also while an older event of the user may still make one.
 */
export function hasAccount({ unit, reason }: Refused): boolean {
  return unit.there || (reason === 'profile' && unit.bare !== null);
}

/** What one answer means for every user of its call: each of them stands in exactly one of the lists below. */
export interface Decision {
  /** Their newest event is in; older ones are superseded. */
  readonly imported: readonly Unit[];
  /** Events that end. Their users are done, unless an older event of theirs stands in `again`. */
  readonly refused: readonly Refused[];
  /** Calls that follow in this run; those of a search hold users of other calls as well. */
  readonly again: readonly Group[];
  /** To be called again after a while. */
  readonly later: readonly Unit[];
}

export interface DecisionPolicy {
  readonly commands: Commands;
  readonly onProfileFault: 'import-bare' | 'dead-letter';
  /** Earlier answers of this record with the same code. */
  readonly sameAnswers: number;
  /** Too old to be tried again. */
  readonly expired: boolean;
  /** Share of culprits among all users, as the fleet sees it. */
  readonly culpritShare: number;
}

/** An answer that no table knows is taken for a passing one this many times. */
const UNKNOWN_TRIES = 3;

/** A call for one account that succeeds and says that the account failed. */
const CONTRADICTION = {
  class: 'unknown',
  meaning: 'success, but the account stands in FailAccounts',
} as const;

const nothing: Decision = { imported: [], refused: [], again: [], later: [] };

/**
 * What the answer to a call means for each of its users. Pure. Answers of class `app` and `throttle` say
 * nothing about users and do not come here.
 */
export function decide(
  group: Group,
  verdict: Verdict,
  failAccounts: readonly string[],
  policy: DecisionPolicy,
): Decision {
  const search = (): Decision => ({
    ...nothing,
    again: refusedSearch(group, policy.commands, policy.culpritShare),
  });
  switch (verdict.class) {
    case 'done':
      // There is no further call that could name a reason: to make this one again would go on for ever.
      if (group.command === policy.commands.single && isNamed(group, failAccounts)) {
        return decide(group, { ...verdict, ...CONTRADICTION }, [], policy);
      }
      return done(group, failAccounts, policy);
    case 'account':
    case 'body':
      return group.units.length > 1 ? search() : refuse(group, verdict, policy);
    case 'unknown':
      if (policy.sameAnswers < UNKNOWN_TRIES && !policy.expired) return { ...nothing, later: group.units };
      return group.units.length > 1 ? search() : refuse(group, verdict, policy);
    case 'retry':
      if (!policy.expired) return { ...nothing, later: group.units };
      return {
        ...nothing,
        refused: group.units.flatMap((unit) =>
          unit.candidates.map((entry) => ({ unit, entry, reason: 'expired' as const, verdict })),
        ),
        // Who waited for what this call would tell has a call of their own.
        again: groupsOf(waitingFor(group), policy.commands, false),
      };
    case 'app':
    case 'throttle':
      throw new RangeError(
        `an answer of class ${verdict.class} decides nothing about users: a bug, please report it`,
      );
  }
}

function isNamed(group: Group, failAccounts: readonly string[]): boolean {
  return group.units.some(({ userId }) => failAccounts.includes(userId));
}

/** FailAccounts may name IDs that were never sent (the documented sample does): only those of the call count. */
function done(group: Group, failAccounts: readonly string[], policy: DecisionPolicy): Decision {
  const failing = new Set(failAccounts);
  const failed = failing.size === 0 ? [] : group.units.filter(({ userId }) => failing.has(userId));
  const passed = failing.size === 0 ? group.units : group.units.filter(({ userId }) => !failing.has(userId));
  const again = failed.filter((unit) => !unit.failed).map((unit) => ({ ...unit, failed: true }));
  const alone = failed.filter((unit) => unit.failed);
  const { commands, culpritShare } = policy;
  const { imported, refused } = ended(passed);
  return {
    imported,
    refused,
    again: [
      ...(again.length > 0 ? [{ command: group.command, units: again, first: false }] : []),
      ...askedFirst(alone, commands.single),
      ...passedSearch(group, commands, culpritShare),
    ],
    later: [],
  };
}

/**
 * What account_check said of users who came back in FailAccounts twice (`there`: userId to whether the account
 * exists; a user whom it did not settle is not in it). Who is there and has no profile to hand over is imported.
 * Everybody else is called alone: an account that is there may still have its old profile, which a check does
 * not show.
 */
export function decideChecked(
  group: Group,
  there: ReadonlyMap<string, boolean>,
  commands: Commands,
): Decision {
  const done = group.units.filter((unit) => there.get(unit.userId) === true && !hasProfile(unit));
  const open = group.units.filter((unit) => !done.includes(unit));
  const known = open.map((unit) => ({ ...unit, there: there.get(unit.userId) === true }));
  return { again: singly(known, commands.single), later: [], ...ended(done) };
}

/** One check for all of several users may save most of their single calls; for one user it saves nothing. */
function askedFirst(alone: readonly Unit[], single: ImportCommand): Group[] {
  return alone.length > 1
    ? [{ command: 'account_check', units: alone, first: false }]
    : singly(alone, single);
}

function ended(units: readonly Unit[]): Pick<Decision, 'imported' | 'refused'> {
  return {
    imported: units.filter(({ bare }) => bare === null),
    // The account is there; what ends here is the event, whose profile is not.
    refused: units.flatMap((unit) =>
      unit.bare === null
        ? []
        : [{ unit, entry: candidateOf(unit), reason: 'profile' as const, verdict: unit.bare }],
    ),
  };
}

/** The answer is about this one user; the search that they were found by goes on without them. */
function refuse(group: Group, verdict: Verdict, policy: DecisionPolicy): Decision {
  const { commands } = policy;
  const [unit] = group.units;
  if (unit === undefined) return nothing;
  const others = refusedSearch(group, commands, policy.culpritShare);
  const [entry, ...older] = unit.candidates;
  if (entry === undefined) return { ...nothing, again: others };
  const aboutProfile = (verdict.profileFault || unit.there) && hasProfile(unit);
  // A user never ends without an account while one of their events could have made it.
  if (older.length > 0) {
    return {
      ...nothing,
      refused: [{ unit, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
      again: [...singly([{ ...unit, candidates: older }], commands.single), ...others],
    };
  }
  if (aboutProfile && !unit.there && policy.onProfileFault === 'import-bare') {
    return { ...nothing, again: [...singly([{ ...unit, bare: verdict }], commands.single), ...others] };
  }
  return {
    ...nothing,
    refused: [{ unit, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
    again: others,
  };
}

function reasonOf(verdict: Verdict, aboutProfile: boolean): DeadReason {
  if (aboutProfile) return 'profile';
  return verdict.class === 'unknown' ? 'unknown' : 'rejected';
}
