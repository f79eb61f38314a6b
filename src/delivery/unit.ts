import type { ValidEntry } from '../event/event.ts';
import { newestFirst } from '../event/newest.ts';
import type { Account, DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import type { ApiForm } from '../im/commands.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { Attempt } from '../ledger/record.ts';
import type { Probe, Search } from './split.ts';

/** A user of a call, with the events that could still give them their account, newest first; never empty. */
export interface Unit {
  readonly userId: string;
  readonly candidates: readonly ValidEntry[];
  /** Set when the profile of the one candidate left was refused: the account is imported without it. */
  readonly bare: Verdict | null;
  /** Came back in FailAccounts in this run. */
  readonly failed: boolean;
  /** account_check said in this run that the account is there, though it came back in FailAccounts. */
  readonly there: boolean;
  /** Calls of this run that the user was in. */
  readonly attempts: readonly Attempt[];
}

/** Users who go into one call together. */
export interface Group {
  readonly command: DeliveryCommand;
  readonly units: readonly Unit[];
  /** False for the calls that find out about an earlier answer. */
  readonly first: boolean;
  /** The search for culprits that this call belongs to: `units` are its test. */
  readonly search?: GroupSearch;
}

export interface GroupSearch {
  readonly command: ImportCommand;
  readonly state: Search<Unit>;
  readonly probe: Probe<Unit>;
}

/** The two import calls of an API form. */
export interface Commands {
  readonly form: ApiForm;
  readonly batch: ImportCommand;
  /** Carries one user; its answer is about that user alone. */
  readonly single: ImportCommand;
}

const NONE: readonly Attempt[] = [];

/** Users in the order of their first appearance. */
export function unitsByUser(entries: Iterable<ValidEntry>): Map<string, Unit> {
  const units = new Map<string, Unit>();
  for (const [userId, candidates] of newestFirst(entries))
    units.set(userId, { userId, candidates, bare: null, failed: false, there: false, attempts: NONE });
  return units;
}

export function unitsOf(entries: Iterable<ValidEntry>): Unit[] {
  return [...unitsByUser(entries).values()];
}

/** The event that is sent for a user. */
export function candidateOf(unit: Unit): ValidEntry {
  const [candidate] = unit.candidates;
  if (candidate === undefined)
    throw new RangeError('no event is left of a user of the call: a bug, please report it');
  return candidate;
}

/** The account as the call carries it. In hosted mode nobody is ever bare: that call has no profile. */
export function accountOf(unit: Unit): Account {
  const { event } = candidateOf(unit);
  if (unit.bare === null) return event;
  return { userId: event.userId, type: event.type };
}

export function hasProfile(unit: Unit): boolean {
  const { nick, faceUrl } = accountOf(unit);
  return nick !== undefined || faceUrl !== undefined;
}

/**
 * Whether the batch call cannot carry the user: in the old form a profile (its Accounts are bare IDs) and a robot (only
 * the single call has a Type; no other form makes robots). In hosted mode nobody can share a call. cut.lua goes by the
 * same rule for the entries as they come.
 */
function needsSingle(unit: Unit, { form, batch, single }: Commands): boolean {
  if (batch === single) return true;
  return form === 'legacy' && (candidateOf(unit).event.type === 1 || hasProfile(unit));
}

/** Groups for users of whom nothing is known but their events: as few calls as the API form allows. */
export function groupsOf(units: readonly Unit[], commands: Commands, first: boolean): Group[] {
  const together = units.filter((unit) => !needsSingle(unit, commands));
  const alone = units.filter((unit) => needsSingle(unit, commands));
  const groups: Group[] = together.length > 0 ? [{ command: commands.batch, units: together, first }] : [];
  return [...groups, ...singly(alone, commands.single, first)];
}

export function singly(units: readonly Unit[], command: ImportCommand, first = false): Group[] {
  return units.map((unit) => ({ command, units: [unit], first }));
}
