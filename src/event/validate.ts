import type { EventRules } from './event.ts';
import { isKnownField } from './field-names.ts';
import { checkHosted } from './hosted.ts';
import { readInstantMs } from './instant.ts';
import { whyNoRobots } from './robots.ts';
import { byteLength, fitsBytes, isPrintableAscii, isWellFormed } from './text.ts';
import { checkUserId, kindOf } from './user-id.ts';

/** Past this a profile field is no profile field any more; between 500 bytes and this the account goes bare. */
const MAX_FIELD_BYTES = 65_536;
/** Room for the fields we do not know: names and values together. */
const MAX_EXTRA_BYTES = 65_536;
const MAX_REPLY_TO_BYTES = 200;
const TYPES = ['0', '1'];
const IDENTIFIER_TYPES = ['1', '2', '3'];

/** A user as somebody hands it to us: nothing is certain yet. null and '' stand for absent. */
export interface UserFacts {
  readonly userId?: unknown;
  readonly nick?: unknown;
  readonly faceUrl?: unknown;
  /** 0 or 1, as a number or as text. */
  readonly type?: unknown;
  /** RFC 3339, milliseconds (number or digits), or a Date. */
  readonly occurredAt?: unknown;
  /** Milliseconds, as a parsed event has it. */
  readonly occurredAtMs?: unknown;
  readonly replyTo?: unknown;
  readonly traceparent?: unknown;
  readonly tally?: unknown;
  readonly identifierType?: unknown;
  readonly password?: unknown;
  /** Further fields: text by name. */
  readonly extra?: unknown;
}

/**
 * Everything that is wrong with a user, in words a producer can act on; [] when it is valid. Serves the
 * producer's objects and the parser's entries alike, so that both refuse the same. A profile field of 501 bytes
 * to 64 KiB is valid here (see `ValidEntry.tooLong`). No text holds a password. Never throws.
 */
export function validateUser(user: UserFacts, rules: EventRules): string[] {
  const problems: string[] = [];
  const isRobot = user.type === 1 || user.type === '1';
  checkUserId(problems, user.userId, isRobot, rules);
  checkProfile(problems, 'nick', user.nick);
  checkProfile(problems, 'faceUrl', user.faceUrl);
  checkOneOf(problems, 'type', user.type, TYPES, '0 (ordinary) or, with IMSYNC_API=legacy, 1 (robot)');
  const noRobots = isRobot ? whyNoRobots(rules.form) : undefined;
  if (noRobots !== undefined) problems.push(`type 1 asks for a robot, but ${noRobots}`);
  checkInstant(problems, user.occurredAt, user.occurredAtMs);
  checkReplyTo(problems, user.replyTo);
  if (!isAbsent(user.traceparent) && typeof user.traceparent !== 'string') {
    problems.push(`traceparent must be a string, not ${kindOf(user.traceparent)}`);
  }
  if (rules.form === 'hosted') checkHosted(problems, user.userId, user.identifierType, user.password);
  else checkUnusedHosted(problems, user);
  checkExtra(problems, user.extra);
  return problems;
}

/** Whether a value stands for "not given": undefined, null or ''. */
export function isAbsent(value: unknown): value is undefined | null | '' {
  return value === undefined || value === null || value === '';
}

function checkProfile(problems: string[], name: string, value: unknown): void {
  if (isAbsent(value)) return;
  if (typeof value !== 'string') {
    problems.push(`${name} must be a string, not ${kindOf(value)}`);
    return;
  }
  if (!isWellFormed(value)) problems.push(`${name} is not well-formed UTF-8`);
  if (!fitsBytes(value, MAX_FIELD_BYTES)) {
    problems.push(
      `${name} is ${byteLength(value)} bytes long; ${MAX_FIELD_BYTES} is the most an event carries`,
    );
  }
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

function checkInstant(problems: string[], occurredAt: unknown, occurredAtMs: unknown): void {
  const given = isAbsent(occurredAt) ? occurredAtMs : occurredAt;
  if (isAbsent(given) || readOccurredAtMs(given) !== undefined) return;
  problems.push(
    'occurredAt must be an RFC 3339 time such as 2025-04-03T17:08:43Z, or milliseconds since 1970',
  );
}

/** Milliseconds since 1970 from any form a producer may give; undefined when it is none. */
export function readOccurredAtMs(value: unknown): number | undefined {
  if (typeof value === 'string') return readInstantMs(value);
  if (typeof value === 'number') return readInstantMs(String(value));
  return value instanceof Date ? readInstantMs(String(value.getTime())) : undefined;
}

function checkReplyTo(problems: string[], replyTo: unknown): void {
  if (isAbsent(replyTo)) return;
  const fits =
    typeof replyTo === 'string' && fitsBytes(replyTo, MAX_REPLY_TO_BYTES) && isPrintableAscii(replyTo);
  if (!fits)
    problems.push(`replyTo must be 1 to ${MAX_REPLY_TO_BYTES} bytes of printable ASCII without spaces`);
}

/** Outside hosted mode these two are carried but never used: only their form is looked at. */
function checkUnusedHosted(problems: string[], { identifierType, password }: UserFacts): void {
  checkOneOf(problems, 'identifierType', identifierType, IDENTIFIER_TYPES, '1, 2 or 3');
  if (!isAbsent(password) && typeof password !== 'string') problems.push('password must be a string');
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
