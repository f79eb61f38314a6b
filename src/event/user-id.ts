import type { ApiForm } from '../config/config.ts';
import { type EventRules, isAbsent } from './event.ts';
import { ALL_ODD_IDS, isAllowed, oddId, serializerOf } from './odd-values.ts';
import { byteLength, cut, isWellFormed } from './text.ts';

/** "UserID, not longer than 32 bytes" (API reference, multiaccount_import, 2025-04). */
const MAX_USER_ID_BYTES = 32;

/** Prefixes that the service reserves for itself (user guide, login authentication). */
const RESERVED_PREFIXES = ['@TGS#', '@TLS#', '@TIM#', '@TOA#'] as const;
const ROBOT_PREFIX = '@RBT#';

/**
 * Whether a text has the form of a user ID. The scripts use the same rule to tell whose event an entry is
 * (`userOf` in cut.lua). A text of this form may still be refused; any other owns nothing.
 */
export function hasUserIdForm(text: string): boolean {
  return /^[\x21-\x7e]{1,32}$/.test(text);
}

const dashedUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Adds the problems of a user ID as sentences. The space is refused like the control characters: only
 * printable ASCII is certain to work, and an ID that ends in a space is usually a mistake.
 */
export function checkUserId(problems: string[], userId: unknown, isRobot: boolean, rules: EventRules): void {
  if (typeof userId !== 'string' || userId === '') {
    problems.push(noUserId(userId));
    return;
  }
  const odd = oddId(userId);
  if (odd !== undefined && !isAllowed(userId, odd, rules.allowOddIds ?? [])) {
    problems.push(odd.text);
    return;
  }
  const bytes = byteLength(userId);
  if (dashedUuid.test(userId)) {
    problems.push(
      'userId is a UUID with dashes (36 bytes) and the API takes 32 bytes: leave the dashes out, everywhere the ID is used',
    );
  } else if (bytes > MAX_USER_ID_BYTES) {
    problems.push(`userId is ${bytes} bytes long; the API takes ${MAX_USER_ID_BYTES}`);
  }
  if (!isWellFormed(userId)) problems.push('userId is not well-formed UTF-8');
  else if (!/^[\x21-\x7e]*$/.test(userId)) {
    problems.push(
      'userId may hold printable ASCII only, without spaces; letters, digits, _ and - are safest',
    );
  }
  if (userId.startsWith('@')) checkPrefix(problems, userId, isRobot, rules);
  if (userId === rules.adminId)
    problems.push("userId is the app's admin account, which must not be imported");
}

export const NO_USER_ID = 'userId is missing';

function noUserId(value: unknown): string {
  if (isAbsent(value)) return NO_USER_ID;
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

/** For an entry without a userId: which of its fields may be the one. */
export function meantAsUserId(names: readonly string[]): string {
  const meant = names.find((name) => /user[_-]?id|^u?id$/i.test(name));
  if (meant === undefined) return '';
  const serializer = serializerOf(meant);
  const why =
    serializer === undefined ? 'which must be written userId' : `which was written by ${serializer}`;
  return `, but there is a field ${JSON.stringify(cut(meant, 40))}, ${why}`;
}

/** Every odd ID is valid where it only names somebody who may be there already. */
export const ANY_USER: EventRules = { adminId: '', allowOddIds: [ALL_ODD_IDS] };

/** Names the type of a value for a sentence, such as `a list`. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/**
 * Tells why an API form makes no robots and what to do; undefined if it makes them or the form is not known.
 * Only the old form of account_import has a Type (API reference, account_import, old form). Without it a
 * robot would silently become an ordinary account.
 */
export function whyNoRobots(form: ApiForm | undefined): string | undefined {
  switch (form) {
    case 'current':
      return (
        'the current form of account_import has no Type, so that an ordinary account would be made: set ' +
        "IMSYNC_API=legacy (account_import with Identifier and Type), or use the provider's own call for robots"
      );
    case 'hosted':
      return "register_account_v1 has no Type, so that an ordinary account would be made: use the provider's own call for robots";
    default:
      return undefined;
  }
}
