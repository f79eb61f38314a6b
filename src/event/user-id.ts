import type { EventRules } from './event.ts';
import { whyNoRobots } from './robots.ts';
import { byteLength, isPrintableAscii, isWellFormed } from './text.ts';

/** API reference, multiaccount_import, 2025-04: "UserID, not longer than 32 bytes". */
const MAX_USER_ID_BYTES = 32;

/** Prefixes the service keeps for itself (user guide, login authentication). */
const RESERVED_PREFIXES = ['@TGS#', '@TLS#', '@TIM#', '@TOA#'] as const;
/** Robots' own prefix. */
const ROBOT_PREFIX = '@RBT#';

/**
 * Whether a text could be a user ID by its form: the rule by which scripts tell whom an entry claims for its call
 * (`userOf` in cut.lua). What has it may still be refused; what has not owns no call, and no letters of its own.
 */
export function hasUserIdForm(text: string): boolean {
  return /^[\x21-\x7e]{1,32}$/.test(text);
}

/** What nobody objects to, unless it is the admin's. */
const plain = /^[\x21-\x3f\x41-\x7e][\x21-\x7e]{0,31}$/;
const dashedUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Adds what is wrong with a user ID, in words; nothing when it may be imported. The space is refused with the
 * control characters: only printable ASCII is certain to work, and an ID that ends in a space is a mistake more
 * often than a name.
 */
export function checkUserId(problems: string[], userId: unknown, isRobot: boolean, rules: EventRules): void {
  if (typeof userId !== 'string' || userId === '') {
    problems.push(noUserId(userId));
    return;
  }
  if (plain.test(userId) && userId !== rules.adminId) return;
  const bytes = byteLength(userId);
  if (dashedUuid.test(userId)) {
    problems.push(
      'userId is a UUID with dashes (36 bytes) and the API takes 32 bytes: leave the dashes out, everywhere the ID is used',
    );
  } else if (bytes > MAX_USER_ID_BYTES) {
    problems.push(`userId is ${bytes} bytes long; the API takes ${MAX_USER_ID_BYTES}`);
  }
  if (!isWellFormed(userId)) problems.push('userId is not well-formed UTF-8');
  else if (!isPrintableAscii(userId)) {
    problems.push(
      'userId may hold printable ASCII only, without spaces; letters, digits, _ and - are safest',
    );
  }
  if (userId.startsWith('@')) checkPrefix(problems, userId, isRobot, rules);
  if (userId === rules.adminId)
    problems.push("userId is the app's admin account, which must not be imported");
}

function noUserId(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'userId is missing';
  if (typeof value === 'number' || typeof value === 'bigint') {
    return 'userId must be a string, not a number: write it in quotes, since large numbers lose digits';
  }
  return `userId must be a string, not ${kindOf(value)}`;
}

function checkPrefix(problems: string[], userId: string, isRobot: boolean, { form }: EventRules): void {
  const reserved = RESERVED_PREFIXES.find((prefix) => userId.startsWith(prefix));
  if (reserved !== undefined)
    problems.push(`userId begins with ${reserved}, which the service keeps for itself`);
  if (userId.startsWith(ROBOT_PREFIX) && !isRobot) {
    const noRobots = whyNoRobots(form);
    const why = noRobots === undefined ? ': type must be 1' : `, but ${noRobots}`;
    problems.push(`userId begins with ${ROBOT_PREFIX}, which is for robots${why}`);
  }
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
