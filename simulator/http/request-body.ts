import { type AccountItem, bareItem } from '../accounts/account-store.ts';
import { COMMANDS, type CommandName } from '../commands.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the accounts from the body of a call, or returns the code that refuses it. All documented forms:
 * multiaccount_import `{AccountList:[{UserID,Nick?,FaceUrl?}]}` or `{Accounts:[id]}`;
 * account_import `{UserID,Nick?,FaceUrl?}` or `{Identifier,Nick?,FaceUrl?,Type?}`;
 * register_account_v1 `{Identifier,IdentifierType,Password}`;
 * account_check `{CheckItem:[{UserID}]}`; account_delete `{DeleteItem:[{UserID}]}`.
 *
 * Codes: 60003 the body is no JSON object. 70402 a required field is missing or has the wrong form.
 * 60015 an account is not a string. 70206 the call has no account, or too many.
 * 40610 a profile field is not a string. register_account_v1 has its own codes, see readRegistration.
 * Unknown fields are ignored. A Type beside UserID is ignored too, because the current form does not list it.
 */
export function readCallBody(command: CommandName, text: string): readonly AccountItem[] | number {
  const body = parseObject(text);
  if (body === undefined) return 60003;
  switch (command) {
    case 'multiaccount_import':
      return body.AccountList !== undefined
        ? readList(command, body.AccountList, readProfileItem)
        : readList(command, body.Accounts, readBareItem);
    case 'account_import':
      return alone(body.UserID !== undefined ? readProfileItem(body) : readLegacyItem(body));
    case 'register_account_v1':
      return alone(readRegistration(body));
    case 'account_check':
      return readList(command, body.CheckItem, readIdItem);
    case 'account_delete':
      return readList(command, body.DeleteItem, readIdItem);
  }
}

/** Counts the items whose account is also in an earlier item of the call. */
export function countDuplicates(items: readonly AccountItem[]): number {
  return items.length - new Set(items.map(({ userId }) => userId)).size;
}

function alone(item: AccountItem | number): readonly AccountItem[] | number {
  return typeof item === 'number' ? item : [item];
}

function readList(
  command: CommandName,
  list: unknown,
  readItem: (entry: unknown) => AccountItem | number,
): readonly AccountItem[] | number {
  if (!Array.isArray(list)) return 70402;
  if (list.length === 0 || list.length > COMMANDS[command].maxItems) return 70206;
  const items: AccountItem[] = [];
  for (const entry of list) {
    const item = readItem(entry);
    if (typeof item === 'number') return item;
    items.push(item);
  }
  return items;
}

function readBareItem(entry: unknown): AccountItem | number {
  return typeof entry === 'string' ? bareItem(entry) : 60015;
}

function readIdItem(entry: unknown): AccountItem | number {
  if (!isObject(entry)) return 70402;
  const id = readId(entry.UserID);
  return typeof id === 'number' ? id : bareItem(id);
}

function readProfileItem(entry: unknown): AccountItem | number {
  return isObject(entry) ? readProfile(entry.UserID, entry, undefined) : 70402;
}

function readLegacyItem(body: Json): AccountItem | number {
  const type = body.Type;
  if (type !== undefined && type !== 0 && type !== 1) return 70402;
  return readProfile(body.Identifier, body, type);
}

/**
 * Reads a body of register_account_v1: `{Identifier, IdentifierType: 1|2|3, Password}`.
 *
 * Codes: 70418 a field is missing or has the wrong form, or the password has not 8 to 16 characters.
 * 70419 the Identifier has not 4 to 24 characters. 70421 the Identifier does not fit its type.
 * Types: 1 phone (country code, `-`, number), 2 e-mail, 3 letters, digits, `.` and `_`, not digits alone.
 * Type 3 ignores case: the account is stored in lower case. The password is checked and never stored.
 *
 * Source: API reference, register_account_v1 (hosted mode).
 */
function readRegistration(body: Json): AccountItem | number {
  const { Identifier: identifier, IdentifierType: type, Password: password } = body;
  if (typeof identifier !== 'string' || typeof password !== 'string') return 70418;
  if (type !== 1 && type !== 2 && type !== 3) return 70418;
  if (password.length < 8 || password.length > 16) return 70418;
  if (identifier.length < 4 || identifier.length > 24) return 70419;
  if (!fitsType(identifier, type)) return 70421;
  return bareItem(type === 3 ? identifier.toLowerCase() : identifier);
}

function fitsType(identifier: string, type: 1 | 2 | 3): boolean {
  if (type === 1) return /^\d{1,4}-\d+$/.test(identifier);
  if (type === 2) return /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(identifier);
  return /^[a-z0-9._]+$/i.test(identifier) && !/^\d+$/.test(identifier);
}

function readProfile(userId: unknown, from: Json, type: 0 | 1 | undefined): AccountItem | number {
  const id = readId(userId);
  if (typeof id === 'number') return id;
  const nick = from.Nick;
  const faceUrl = from.FaceUrl;
  if (nick !== undefined && typeof nick !== 'string') return 40610;
  if (faceUrl !== undefined && typeof faceUrl !== 'string') return 40610;
  return { userId: id, nick, faceUrl, type };
}

function readId(value: unknown): string | number {
  if (value === undefined) return 70402;
  return typeof value === 'string' ? value : 60015;
}

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
