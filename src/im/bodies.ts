import type { UserCreated } from '../event/event.ts';
import type { ApiForm } from './commands.ts';
import { oneLine } from './redact.ts';

export type ImportCommand = 'multiaccount_import' | 'account_import' | 'register_account_v1';

/** Commands that deliver events: those that import, and the check of which accounts exist. */
export type DeliveryCommand = ImportCommand | 'account_check';

/**
 * Encodes the JSON body of an import call. Absent fields are left out and never sent empty, since the new
 * batch form overwrites what it is given (API reference, multiaccount_import, 2025-04). Only the old single
 * form has a Type; a robot's event never comes to another form (`whyNoRobots` in event/user-id.ts).
 *
 * `accounts` are of different users, as many as the command takes.
 */
export function encodeImport(
  command: ImportCommand,
  form: ApiForm,
  accounts: readonly UserCreated[],
): string {
  if (command === 'multiaccount_import') {
    if (form === 'legacy') return JSON.stringify({ Accounts: accounts.map(({ userId }) => userId) });
    return JSON.stringify({ AccountList: accounts.map(currentForm) });
  }
  const single =
    command === 'register_account_v1' ? hostedForm : form === 'legacy' ? legacyForm : currentForm;
  return JSON.stringify(accounts.map(single)[0]);
}

/** Encodes the body of account_check. */
export function encodeCheck(userIds: readonly string[]): string {
  return JSON.stringify({ CheckItem: userIds.map((UserID) => ({ UserID })) });
}

/** JSON.stringify leaves out undefined. */
function currentForm({ userId, nick, faceUrl }: UserCreated): object {
  return { UserID: userId, Nick: nick, FaceUrl: faceUrl };
}

function legacyForm({ userId, nick, faceUrl, type }: UserCreated): object {
  const Type = type === 1 ? 1 : undefined;
  return { Identifier: userId, Nick: nick, FaceUrl: faceUrl, Type };
}

function hostedForm({ userId, identifierType, password }: UserCreated): object {
  return { Identifier: userId, IdentifierType: identifierType ?? 3, Password: password ?? '' };
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
