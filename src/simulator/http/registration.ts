import { type AccountItem, bareItem } from '../accounts/account-item.ts';

/**
 * Reads a body of register_account_v1: `{Identifier, IdentifierType: 1|2|3, Password}`.
 *
 * 70418 a field missing or of the wrong form, or a password that has not 8 to 16 characters;
 * 70419 an Identifier that has not 4 to 24 characters; 70421 one that does not fit its type:
 * 1 phone (country code, `-`, number), 2 e-mail, 3 letters, digits, `.` and `_`, not digits alone.
 * Type 3 ignores case: the account is kept in lower case. The password is looked at, never kept.
 *
 * Source: API reference, register_account_v1 (hosted mode).
 */
export function readRegistration(body: Readonly<Record<string, unknown>>): AccountItem | number {
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
