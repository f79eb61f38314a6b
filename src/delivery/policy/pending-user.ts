import { newestFirst, type UserCreated, type ValidEntry } from '../../event/event.ts';
import { type DeliveryCommand, encodeCheck, encodeImport, type ImportCommand } from '../../im/bodies.ts';
import type { ApiForm } from '../../im/commands.ts';
import type { Verdict } from '../../im/verdicts.ts';
import type { Attempt, CallRecord, Suspicion } from '../../ledger/record.ts';
import type { CommandPair, SlotClass } from '../../pace/budget.ts';

/** A user of a call, with the events that could still give them their account, newest first; never empty. */
export interface PendingUser {
  readonly userId: string;
  readonly events: readonly ValidEntry[];
  /** Set when the profile of the one candidate left was refused: the account is imported without it. */
  readonly bare: Verdict | null;
  /** Came back in FailAccounts in this run. */
  readonly inFailAccounts: boolean;
  /** The account exists: account_check said so in this run, or a call without the profile passed before. */
  readonly exists: boolean;
  /** Calls of this run that the user was in. */
  readonly attempts: readonly Attempt[];
  /** Set once calls of this user alone fail while those of others pass. */
  readonly suspicion: Suspicion | null;
}

/** Users who go into one call together. */
export interface ApiRequest {
  readonly command: DeliveryCommand;
  readonly users: readonly PendingUser[];
  /** False for calls that follow from an earlier answer of the run. */
  readonly first: boolean;
  /** Calls in a row of these users, or of a larger request, that failed without an explaining code. */
  readonly failures: number;
  /** How many of these failed while calls of others passed. If these users pass in the end, it was chance. */
  readonly unluckyFailures: number;
  /**
   * If a call of others that started later than this has passed, the fault is these users'. ms since 1970,
   * Redis's clock; 0: no failure.
   */
  readonly failedAtMs: number;
  /** Set for a canary: the users who wait for its answer, and go as one call then. */
  readonly behind?: Pick<ApiRequest, 'command' | 'users'>;
  /** Set for a part of a call that failed. */
  readonly whole?: Whole;
}

/** A call that failed and went out again in parts. If all of them pass, its size may have been the fault. */
export interface Whole {
  readonly bytes: number;
  /** Refused for its size by name (HTTP 413). */
  readonly wasTooLarge: boolean;
  /** Parts that have not passed yet. */
  partsLeft: number;
}

/** An API form and its two import calls. The answer to the single one is about its user alone. */
export interface Commands extends CommandPair {
  readonly form: ApiForm;
}

/** Users in the order of their first appearance. */
export function pendingByUser(
  entries: Iterable<ValidEntry>,
  suspects: ReadonlyMap<string, Suspicion> = new Map(),
): Map<string, PendingUser> {
  const users = new Map<string, PendingUser>();
  for (const [userId, events] of newestFirst(entries)) {
    const suspicion = suspects.get(userId) ?? null;
    const exists = suspicion?.hasAccount === true;
    users.set(userId, { userId, events, bare: null, inFailAccounts: false, exists, attempts: [], suspicion });
  }
  return users;
}

/** The event that is sent for a user. */
export function newestOf(user: PendingUser): ValidEntry {
  const [candidate] = user.events;
  if (candidate === undefined)
    throw new RangeError('no event is left of a user of the call: a bug, please report it');
  return candidate;
}

/** The account as the call carries it. In hosted mode nobody is ever bare: that call has no profile. */
export function accountOf(user: PendingUser): UserCreated {
  const { event } = newestOf(user);
  if (user.bare === null) return event;
  return { userId: event.userId, type: event.type };
}

export function hasProfile(user: PendingUser): boolean {
  const { nick, faceUrl } = accountOf(user);
  return nick !== undefined || faceUrl !== undefined;
}

/**
 * Whether the batch call cannot carry the user. In the old form it carries no profile (its Accounts are bare
 * IDs) and no robot (only the single call has a Type; no other form makes robots). In hosted mode no users
 * share a call. cut.lua goes by the same rule for the entries as they come.
 */
function needsSingle(user: PendingUser, { form, batch, single }: Commands): boolean {
  if (batch === single) return true;
  return form === 'legacy' && (newestOf(user).event.type === 1 || hasProfile(user));
}

/** What is known of earlier calls of a request. */
export type History = Pick<ApiRequest, 'first' | 'failures' | 'unluckyFailures' | 'failedAtMs'>;

export const FIRST_CALL: History = { first: true, failures: 0, unluckyFailures: 0, failedAtMs: 0 };
/** A call that finds out about an earlier answer which was no failure of these users. */
export const FOLLOW_UP: History = { first: false, failures: 0, unluckyFailures: 0, failedAtMs: 0 };

/** As few calls as the API form allows. Suspects go alone. */
export function requestsOf(
  users: readonly PendingUser[],
  commands: Commands,
  history: History,
): ApiRequest[] {
  const goesAlone = (user: PendingUser): boolean => user.suspicion !== null || needsSingle(user, commands);
  const together = users.filter((user) => !goesAlone(user));
  const requests: ApiRequest[] =
    together.length > 0 ? [{ command: commands.batch, users: together, ...history }] : [];
  return [...requests, ...singly(users.filter(goesAlone), commands.single, history)];
}

export function singly(
  users: readonly PendingUser[],
  command: ImportCommand,
  history: History = FOLLOW_UP,
): ApiRequest[] {
  return users.map((user) => ({ command, users: [user], ...history }));
}

/** Users of a request, and those behind it. */
export function everybodyIn({ users, behind }: ApiRequest): readonly PendingUser[] {
  return behind === undefined ? users : [...users, ...behind.users];
}

/** The body of the call, as JSON text. */
export function bodyOf({ command, users }: ApiRequest, form: ApiForm): string {
  return command === 'account_check'
    ? encodeCheck(users.map(({ userId }) => userId))
    : encodeImport(command, form, users.map(accountOf));
}

/**
 * In which class a request waits for its slot. Suspects wait in the last one: in a hold they would else be
 * the single probes, over and over, before those who may pass.
 */
export function slotClassOf(
  { users, first, failures }: ApiRequest,
  { slotClass, tries }: Pick<CallRecord, 'slotClass' | 'tries'>,
): SlotClass {
  if (users.length === 1 && users[0]?.suspicion) return 'redrive';
  if (!first) return 'split';
  if (slotClass === 'redrive') return 'redrive';
  return tries + failures > 0 ? 'retry' : 'live';
}
