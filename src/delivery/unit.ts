import type { ValidEntry } from '../event/event.ts';
import { newestFirst } from '../event/newest.ts';
import type { Account, ImportCommand } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { Attempt } from '../ledger/record.ts';

/** A user of a call, with the events that could still give them their account, newest first; never empty. */
export interface Unit {
  readonly userId: string;
  readonly candidates: readonly ValidEntry[];
  /** Set when the profile of the one candidate left was refused: the account is imported without it. */
  readonly bare: Verdict | null;
  /** Came back in FailAccounts in this run. */
  readonly failed: boolean;
  /** Calls of this run that the user was in. */
  readonly attempts: readonly Attempt[];
}

/** Users who go into one call together. */
export interface Group {
  readonly command: ImportCommand;
  readonly units: readonly Unit[];
  /** False for the calls that find out about an earlier answer. */
  readonly first: boolean;
}

export function unitsOf(entries: Iterable<ValidEntry>): Unit[] {
  return [...newestFirst(entries)].map(([userId, candidates]) => ({
    userId,
    candidates,
    bare: null,
    failed: false,
    attempts: [],
  }));
}

/** The event that is sent for a user. */
export function candidateOf(unit: Unit): ValidEntry {
  const [candidate] = unit.candidates;
  if (candidate === undefined)
    throw new RangeError('no event is left of a user of the call: a bug, please report it');
  return candidate;
}

/** The account as the call carries it. */
export function accountOf(unit: Unit): Account {
  const { event } = candidateOf(unit);
  if (unit.bare === null) return event;
  return { userId: event.userId, type: event.type };
}

export function hasProfile(unit: Unit): boolean {
  const { nick, faceUrl } = accountOf(unit);
  return nick !== undefined || faceUrl !== undefined;
}

/** The groups a record starts with: robots go singly, since the batch call cannot carry them. */
export function firstGroups(
  command: ImportCommand,
  singleCommand: ImportCommand,
  units: readonly Unit[],
): Group[] {
  const isSingle = (unit: Unit): boolean => command === singleCommand || candidateOf(unit).event.type === 1;
  const together = units.filter((unit) => !isSingle(unit));
  const groups: Group[] = together.length > 0 ? [{ command, units: together, first: true }] : [];
  return [...groups, ...singly(units.filter(isSingle), singleCommand, true)];
}

export function singly(units: readonly Unit[], command: ImportCommand, first = false): Group[] {
  return units.map((unit) => ({ command, units: [unit], first }));
}
