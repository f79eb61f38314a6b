import { type EventRules, type FieldName, isAbsent, isKnownField } from './event.ts';
import { ALL_ODD_IDS } from './odd-values.ts';
import { byteLength, isWellFormed } from './text.ts';
import { checkUserId, kindOf, meantAsUserId, NO_USER_ID, whyNoRobots } from './user-id.ts';

/**
 * Most bytes of a profile field in an event. From 501 bytes up to this, the account is imported without it.
 */
const MAX_FIELD_BYTES = 65_536;
/** Most bytes of the unknown fields, names and values together. */
const MAX_EXTRA_BYTES = 65_536;
const TYPES = ['0', '1'];
const IDENTIFIER_TYPES = ['1', '2', '3'];

/**
 * A user as given. null and '' mean that a field is absent. `occurredAt` is RFC 3339, milliseconds (a number
 * or digits) or a Date. `extra` is text by name.
 */
export type UserFacts = { readonly [Name in FieldName | 'extra']?: unknown };

/**
 * Returns all problems of a user as sentences that tell a producer what to change; [] if the user is valid.
 * Producer and parser both use it, so that they refuse the same. A profile field of 501 bytes to 64 KiB is
 * valid here (see `ValidEntry.tooLong`). No problem quotes a password. Never throws.
 */
export function validateUser(user: UserFacts, rules: EventRules): string[] {
  const problems: string[] = [];
  const isRobot = user.type === 1 || user.type === '1';
  const isMeant = String(user.allowOddId ?? '') === '1';
  checkUserId(problems, user.userId, isRobot, isMeant ? { ...rules, allowOddIds: [ALL_ODD_IDS] } : rules);
  if (problems[0] === NO_USER_ID && typeof user.extra === 'object' && user.extra !== null)
    problems[0] += meantAsUserId(Object.keys(user.extra));
  checkProfile(problems, 'nick', user.nick);
  checkProfile(problems, 'faceUrl', user.faceUrl);
  checkOneOf(problems, 'type', user.type, TYPES, '0 (ordinary) or, with IMSYNC_API=legacy, 1 (robot)');
  checkOneOf(problems, 'allowOddId', user.allowOddId, ['1'], '1, for a user ID that is meant as it stands');
  const noRobots = isRobot ? whyNoRobots(rules.form) : undefined;
  if (noRobots !== undefined) problems.push(`type 1 asks for a robot, but ${noRobots}`);
  if (!isAbsent(user.occurredAt) && readOccurredAtMs(user.occurredAt) === undefined) {
    problems.push(
      'occurredAt must be an RFC 3339 time such as 2025-04-03T17:08:43Z, or milliseconds since 1970',
    );
  }
  if (!isAbsent(user.replyTo) && !isReplyTo(user.replyTo))
    problems.push('replyTo must be 1 to 200 bytes of printable ASCII without spaces');
  if (!isAbsent(user.traceparent) && typeof user.traceparent !== 'string') {
    problems.push(`traceparent must be a string, not ${kindOf(user.traceparent)}`);
  }
  if (rules.form === 'hosted') checkHosted(problems, user.userId, user.identifierType, user.password);
  else checkUnusedHosted(problems, user);
  checkExtra(problems, user.extra);
  return problems;
}

function checkProfile(problems: string[], name: string, value: unknown): void {
  if (isAbsent(value)) return;
  if (typeof value !== 'string') {
    problems.push(`${name} must be a string, not ${kindOf(value)}`);
    return;
  }
  if (!isWellFormed(value)) problems.push(`${name} is not well-formed UTF-8`);
  const bytes = byteLength(value);
  if (bytes > MAX_FIELD_BYTES)
    problems.push(`${name} is ${bytes} bytes long; ${MAX_FIELD_BYTES} is the most an event carries`);
}

function checkOneOf(
  problems: string[],
  name: string,
  value: unknown,
  allowed: readonly string[],
  words: string,
): void {
  if (isAbsent(value)) return;
  const fits = (typeof value === 'number' || typeof value === 'string') && allowed.includes(String(value));
  if (!fits) problems.push(`${name} must be ${words}`);
}

function isReplyTo(value: unknown): boolean {
  return typeof value === 'string' && /^[\x21-\x7e]{1,200}$/.test(value);
}

/** Outside hosted mode these two fields are carried and never used, so only their form is checked. */
function checkUnusedHosted(problems: string[], { identifierType, password }: UserFacts): void {
  checkOneOf(problems, 'identifierType', identifierType, IDENTIFIER_TYPES, '1, 2 or 3');
  if (!isAbsent(password) && typeof password !== 'string') problems.push('password must be a string');
}

/**
 * Adds the problems of an event for hosted mode. Rules of the API reference, register_account_v1: Identifier
 * of 4–24 characters; type 1 phone (country code-number), 2 e-mail, 3 string (a-z 0-9 . _, case-insensitive,
 * not all digits); Password of 8–16 characters. No problem quotes the password.
 */
function checkHosted(problems: string[], userId: unknown, identifierType: unknown, password: unknown): void {
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

function checkExtra(problems: string[], extra: unknown): void {
  if (isAbsent(extra)) return;
  if (typeof extra !== 'object' || Array.isArray(extra)) {
    problems.push('extra must be an object of texts by name');
    return;
  }
  let bytes = 0;
  for (const [name, value] of Object.entries(extra as object)) {
    if (isKnownField(name)) problems.push(`extra must not hold ${name}: it is a field of its own`);
    if (typeof value !== 'string')
      problems.push(`the field ${JSON.stringify(name.slice(0, 40))} must be a string`);
    else bytes += byteLength(name) + byteLength(value);
  }
  if (bytes > MAX_EXTRA_BYTES) {
    problems.push(`the further fields take ${bytes} bytes; ${MAX_EXTRA_BYTES} is the most an event carries`);
  }
}

const rfc3339 =
  /^(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
/** The last instant that a JavaScript date can hold. */
const MAX_MS = 8_640_000_000_000_000;

/**
 * Reads when an event happened: a Date, an RFC 3339 time or a whole number of milliseconds since 1970.
 * Returns such a number, or undefined for anything else, also for dates that do not exist and times before
 * 1970. Fractions below a millisecond are cut off. A leap second counts as the second after it.
 */
export function readOccurredAtMs(value: unknown): number | undefined {
  if (value instanceof Date) return within(value.getTime());
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = String(value);
  if (/^\d{1,16}$/.test(text)) return within(Number(text));
  const [, date = '', minute, second, fraction = '', zone] = rfc3339.exec(text.toUpperCase()) ?? [];
  // A day that its month does not have would become one of the next month.
  if (new Date(date).toJSON()?.startsWith(date) !== true) return undefined;
  return within(Date.parse(`${date}T${minute}:00${fraction}${zone}`) + Number(second) * 1_000);
}

function within(ms: number): number | undefined {
  return ms >= 0 && ms <= MAX_MS ? ms : undefined;
}
