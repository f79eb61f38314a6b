import type { UserCreated } from '../event/event.ts';
import { type ApiForm, COMMANDS, type CommandName, documentedPerSecond } from './commands.ts';
import { oneLine } from './redact.ts';

export type ImportCommand = 'multiaccount_import' | 'account_import' | 'register_account_v1';

/** Commands that deliver events: those that import, and the check of which accounts exist. */
export type DeliveryCommand = ImportCommand | 'account_check';

/**
 * Encodes the JSON body of an import call. Absent fields are left out and never sent empty, since the new
 * batch form overwrites what it is given (API reference, multiaccount_import, 2025-04). Only the old single
 * form has a Type; a robot's event never comes to another form (`whyNoRobots` in event/user-id.ts).
 *
 * Throws a RangeError for mistakes of the caller: no account, more accounts than the command takes, the same
 * user twice (it is not documented which one wins), or a command that the form does not have.
 */
export function encodeImport(
  command: ImportCommand,
  form: ApiForm,
  accounts: readonly UserCreated[],
): string {
  const users = accounts.map(({ userId }) => userId);
  checkItems(command, users);
  documentedPerSecond(form, command);
  if (command === 'multiaccount_import') {
    return JSON.stringify(
      form === 'legacy' ? { Accounts: users } : { AccountList: accounts.map(currentForm) },
    );
  }
  const [account] = accounts;
  if (account === undefined) throw new RangeError(`${command} needs an account`);
  if (command === 'register_account_v1') return JSON.stringify(hostedForm(account));
  return JSON.stringify(form === 'legacy' ? legacyForm(account) : currentForm(account));
}

/** Encodes the body of account_check. Throws a RangeError as `encodeImport` does. */
export function encodeCheck(userIds: readonly string[]): string {
  checkItems('account_check', userIds);
  return JSON.stringify({ CheckItem: userIds.map((UserID) => ({ UserID })) });
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

function currentForm({ userId, nick, faceUrl }: UserCreated): object {
  return { UserID: userId, Nick: orAbsent(nick), FaceUrl: orAbsent(faceUrl) };
}

function legacyForm({ userId, nick, faceUrl, type }: UserCreated): object {
  const Type = type === 1 ? 1 : undefined;
  return { Identifier: userId, Nick: orAbsent(nick), FaceUrl: orAbsent(faceUrl), Type };
}

function hostedForm({ userId, identifierType, password }: UserCreated): object {
  return { Identifier: userId, IdentifierType: identifierType ?? 3, Password: password ?? '' };
}

/** JSON.stringify leaves out undefined. */
function orAbsent(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** The result of account_check for one user. */
interface UserResult {
  readonly resultCode: number;
  readonly resultInfo: string;
  /** Absent if the API did not tell. */
  readonly imported?: boolean;
}

/**
 * Reads the results of account_check by user: ResultItem `[{UserID, ResultCode, ResultInfo, AccountStatus:
 * "Imported"|"NotImported"}]` (API reference, account_check). Malformed items are left out. The caller must
 * treat a user that is missing as unknown.
 */
export function decodeResults(body: Readonly<Record<string, unknown>>): Map<string, UserResult> {
  const results = new Map<string, UserResult>();
  const items = Array.isArray(body.ResultItem) ? body.ResultItem : [];
  for (const item of items as unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    const { UserID, ResultCode, ResultInfo, AccountStatus } = item as Record<string, unknown>;
    if (typeof UserID !== 'string' || typeof ResultCode !== 'number') continue;
    results.set(UserID, {
      resultCode: ResultCode,
      resultInfo: oneLine(ResultInfo),
      ...(AccountStatus === 'Imported' && { imported: true }),
      ...(AccountStatus === 'NotImported' && { imported: false }),
    });
  }
  return results;
}

/** Reads from an account_check answer which users exist. A user whose state is unknown is left out. */
export function decodeCheck(body: Readonly<Record<string, unknown>>): Map<string, boolean> {
  const imported = new Map<string, boolean>();
  for (const [userId, result] of decodeResults(body)) {
    if (result.resultCode === 0 && result.imported !== undefined) imported.set(userId, result.imported);
  }
  return imported;
}
