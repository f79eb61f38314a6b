import type { AccountType, IdentifierType } from '../event/event.ts';
import { type ApiForm, COMMANDS, type CommandName } from './commands.ts';

/** One account as a call carries it. A parsed event fits. */
export interface Account {
  readonly userId: string;
  readonly nick?: string;
  readonly faceUrl?: string;
  readonly type?: AccountType;
  /** Hosted mode only. */
  readonly identifierType?: IdentifierType;
  /** Hosted mode only; a secret. */
  readonly password?: string;
}

/** The calls that import. */
export type ImportCommand = 'multiaccount_import' | 'account_import' | 'register_account_v1';

/** The calls that deliver events: those that import, and the one that asks who is there. */
export type DeliveryCommand = ImportCommand | 'account_check';

/**
 * The JSON body of an import call. Absent fields are left out, never sent empty: the new batch form overwrites
 * what it is given (API reference, multiaccount_import, 2025-04). Type goes along only in the old single form,
 * the only one that documents it; an event that asks for a robot comes to no other (event/user-id.ts).
 *
 * Throws a RangeError for no account, for more than the command takes, for a user who stands there twice (which
 * of the two wins is not documented), and for a command that the form does not have: mistakes of the caller.
 */
export function encodeImport(command: ImportCommand, form: ApiForm, accounts: readonly Account[]): string {
  const users = accounts.map(({ userId }) => userId);
  checkItems(command, users);
  if (COMMANDS[command].perSecond[form] === undefined) {
    throw new RangeError(`the ${form} form has no call ${command}`);
  }
  if (command === 'multiaccount_import') {
    return JSON.stringify(form === 'legacy' ? { Accounts: users } : { AccountList: accounts.map(newForm) });
  }
  const [account] = accounts;
  if (account === undefined) throw new RangeError(`${command} needs an account`);
  if (command === 'register_account_v1') return JSON.stringify(hostedForm(account));
  return JSON.stringify(form === 'legacy' ? oldForm(account) : newForm(account));
}

/** The body of account_check. Throws a RangeError as `encodeImport` does. */
export function encodeCheck(userIds: readonly string[]): string {
  checkItems('account_check', userIds);
  return JSON.stringify({ CheckItem: userIds.map((UserID) => ({ UserID })) });
}

/** The body of account_delete, which cannot be undone. Throws a RangeError as `encodeImport` does. */
export function encodeDelete(userIds: readonly string[]): string {
  checkItems('account_delete', userIds);
  return JSON.stringify({ DeleteItem: userIds.map((UserID) => ({ UserID })) });
}

function checkItems(command: CommandName, userIds: readonly string[]): void {
  const { maxItems } = COMMANDS[command];
  if (userIds.length < 1 || userIds.length > maxItems) {
    throw new RangeError(`${command} takes 1 to ${maxItems} accounts, not ${userIds.length}`);
  }
  if (new Set(userIds).size !== userIds.length) {
    throw new RangeError(`${command} must not hold a user twice`);
  }
}

function newForm({ userId, nick, faceUrl }: Account): object {
  return { UserID: userId, Nick: orAbsent(nick), FaceUrl: orAbsent(faceUrl) };
}

function oldForm(account: Account): object {
  const { userId, nick, faceUrl, type } = account;
  return {
    Identifier: userId,
    Nick: orAbsent(nick),
    FaceUrl: orAbsent(faceUrl),
    ...(type === 1 && { Type: 1 }),
  };
}

function hostedForm({ userId, identifierType, password }: Account): object {
  return { Identifier: userId, IdentifierType: identifierType ?? 3, Password: password ?? '' };
}

/** JSON leaves out what is undefined; items of one shape are cheap to write. */
function orAbsent(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
