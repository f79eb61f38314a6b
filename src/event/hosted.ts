import { isWellFormed } from './text.ts';

/**
 * Adds what is wrong with an event for hosted mode; nothing when it may be registered. The rules of the API reference,
 * register_account_v1: Identifier of 4–24 characters; type 1 phone (country code-number), 2 e-mail, 3 string
 * (a-z 0-9 . _, case-insensitive, not all digits); Password of 8–16 characters.
 * No text given back holds the password.
 */
export function checkHosted(
  problems: string[],
  userId: unknown,
  identifierType: unknown,
  password: unknown,
): void {
  const type = typeof identifierType === 'number' ? String(identifierType) : identifierType;
  if (type !== '1' && type !== '2' && type !== '3') {
    problems.push('identifierType must be 1 (phone), 2 (e-mail) or 3 (string) in hosted mode');
  }
  if (typeof userId === 'string') {
    const length = [...userId].length;
    if (length < 4 || length > 24) problems.push('userId must have 4 to 24 characters in hosted mode');
    const fault = identifierFault(type, userId);
    if (fault !== undefined) problems.push(fault);
  }
  if (typeof password !== 'string' || password === '') {
    problems.push('password is missing; hosted mode needs one');
  } else {
    const length = [...password].length;
    if (length < 8 || length > 16) problems.push('password must have 8 to 16 characters');
    if (!isWellFormed(password)) problems.push('password is not well-formed UTF-8');
  }
}

function identifierFault(type: unknown, userId: string): string | undefined {
  if (type === '1' && !/^\+?\d{1,4}-\d+$/.test(userId)) {
    return 'userId must be a phone number written country code-number for identifierType 1';
  }
  if (type === '2' && !/^[^@]+@[^@]+$/.test(userId)) {
    return 'userId must be an e-mail address for identifierType 2';
  }
  if (type === '3' && (!/^[a-z0-9._]+$/i.test(userId) || /^\d+$/.test(userId))) {
    return 'userId may hold letters, digits, . and _ and not digits alone for identifierType 3';
  }
  return undefined;
}
