import type { ValidEntry } from '../event/event.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { DeadReason } from '../ledger/dead-letters.ts';
import { halves } from './split.ts';
import { candidateOf, type Group, hasProfile, singly, type Unit } from './unit.ts';

/** An event that ends as a dead letter, and the answer that says so. */
export interface Refused {
  readonly unit: Unit;
  readonly entry: ValidEntry;
  readonly reason: DeadReason;
  readonly verdict: Verdict;
}

/** What one answer means for every user of its call: each of them stands in exactly one of the lists below. */
export interface Decision {
  /** Their newest event is in; older ones are superseded. */
  readonly imported: readonly Unit[];
  /** Events that end. Their users are done, unless an older event of theirs stands in `again`. */
  readonly refused: readonly Refused[];
  /** Calls that follow in this run. */
  readonly again: readonly Group[];
  /** To be called again after a while. */
  readonly later: readonly Unit[];
}

export interface DecisionPolicy {
  readonly singleCommand: ImportCommand;
  readonly onProfileFault: 'import-bare' | 'dead-letter';
  /** Transient failures of this record so far. */
  readonly tries: number;
  /** Too old to be tried again. */
  readonly expired: boolean;
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
  switch (verdict.class) {
    case 'done':
      // There is no further call that could name a reason: to make this one again would go on for ever.
      if (group.command === policy.singleCommand && isNamed(group, failAccounts)) {
        return decide(group, { ...verdict, ...CONTRADICTION }, [], policy);
      }
      return done(group, verdict, failAccounts, policy);
    case 'account':
    case 'body':
      return group.units.length > 1 ? split(group) : refuse(group, verdict, policy);
    case 'unknown':
      if (policy.tries < UNKNOWN_TRIES && !policy.expired) return { ...nothing, later: group.units };
      return group.units.length > 1 ? split(group) : refuse(group, verdict, policy);
    case 'retry':
      if (!policy.expired) return { ...nothing, later: group.units };
      return {
        ...nothing,
        refused: group.units.flatMap((unit) =>
          unit.candidates.map((entry) => ({ unit, entry, reason: 'expired' as const, verdict })),
        ),
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
function done(
  group: Group,
  verdict: Verdict,
  failAccounts: readonly string[],
  policy: DecisionPolicy,
): Decision {
  const failing = new Set(failAccounts);
  const failed = group.units.filter(({ userId }) => failing.has(userId));
  const passed = group.units.filter(({ userId }) => !failing.has(userId));
  const again = failed.filter((unit) => !unit.failed).map((unit) => ({ ...unit, failed: true }));
  const alone = failed.filter((unit) => unit.failed);
  return {
    imported: passed.filter(({ bare }) => bare === null),
    // The account is there; what ends here is the event, whose profile is not.
    refused: passed.flatMap((unit) => bareEnd(unit, verdict)),
    again: [
      ...(again.length > 0 ? [{ command: group.command, units: again, first: false }] : []),
      // The single call names the reason.
      ...singly(alone, policy.singleCommand),
    ],
    later: [],
  };
}

function bareEnd(unit: Unit, _verdict: Verdict): Refused[] {
  if (unit.bare === null) return [];
  return [{ unit, entry: candidateOf(unit), reason: 'profile', verdict: unit.bare }];
}

function split(group: Group): Decision {
  return {
    ...nothing,
    again: halves(group.units).map((units) => ({ command: group.command, units, first: false })),
  };
}

/** The answer is about this one user. */
function refuse(group: Group, verdict: Verdict, policy: DecisionPolicy): Decision {
  const [unit] = group.units;
  if (unit === undefined) return nothing;
  const aboutProfile = verdict.profileFault && hasProfile(unit);
  const [entry, ...older] = unit.candidates;
  if (entry === undefined) return nothing;
  // A user never ends without an account while one of their events could have made it.
  if (older.length > 0) {
    return {
      ...nothing,
      refused: [{ unit, entry, reason: reasonOf(verdict, aboutProfile), verdict }],
      again: [{ ...group, units: [{ ...unit, candidates: older }], first: false }],
    };
  }
  if (aboutProfile && policy.onProfileFault === 'import-bare') {
    return { ...nothing, again: [{ ...group, units: [{ ...unit, bare: verdict }], first: false }] };
  }
  return { ...nothing, refused: [{ unit, entry, reason: reasonOf(verdict, aboutProfile), verdict }] };
}

function reasonOf(verdict: Verdict, aboutProfile: boolean): DeadReason {
  if (aboutProfile) return 'profile';
  return verdict.class === 'unknown' ? 'unknown' : 'rejected';
}
