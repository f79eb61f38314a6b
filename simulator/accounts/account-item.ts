/** One account of a call, as sent. An absent field is undefined and leaves the stored value alone. */
export interface AccountItem {
  readonly userId: string;
  readonly nick: string | undefined;
  readonly faceUrl: string | undefined;
  readonly type: 0 | 1 | undefined;
}

/** An account that is sent without a profile. */
export function bareItem(userId: string): AccountItem {
  return { userId, nick: undefined, faceUrl: undefined, type: undefined };
}

/** What the API demands of every account. It does not depend on the stored accounts. */
export interface AccountConstraints {
  readonly adminId: string;
  /** In lower case. A word is found anywhere in Nick or FaceUrl, in upper or lower case. */
  readonly sensitiveWords: readonly string[];
  /** Refuse IDs with other characters than printable ASCII: users report that such IDs do not work. */
  readonly asciiIdsOnly: boolean;
}

const MAX_ID_BYTES = 32;
const MAX_PROFILE_BYTES = 500;
const SERVICE_PREFIXES = ['@TGS#', '@TLS#', '@TIM#', '@TOA#'];
const ROBOT_PREFIX = '@RBT#';

/**
 * Returns the code with which the API refuses this account, or 0.
 * 70402: the ID. 40601: a profile value has more than 500 bytes. 40005: a sensitive word.
 *
 * Source: API reference, account_import and multiaccount_import (2025-04).
 */
export function validateAccount(item: AccountItem, constraints: AccountConstraints): number {
  const idCode = validateUserId(item.userId, constraints, item.type === 1);
  if (idCode !== 0) return idCode;
  return validateProfileValue(item.nick, constraints) || validateProfileValue(item.faceUrl, constraints);
}

/** Returns 70402 for an ID that no account can have, or 0. */
export function validateUserId(userId: string, constraints: AccountConstraints, robot: boolean): number {
  const { adminId, asciiIdsOnly } = constraints;
  if (userId === '' || Buffer.byteLength(userId) > MAX_ID_BYTES || userId === adminId) return 70402;
  if (asciiIdsOnly && !/^[\x20-\x7e]+$/.test(userId)) return 70402;
  if (SERVICE_PREFIXES.some((prefix) => userId.startsWith(prefix))) return 70402;
  if (userId.startsWith(ROBOT_PREFIX) && !robot) return 70402;
  return 0;
}

function validateProfileValue(value: string | undefined, constraints: AccountConstraints): number {
  if (value === undefined) return 0;
  if (Buffer.byteLength(value) > MAX_PROFILE_BYTES) return 40601;
  const lower = value.toLowerCase();
  return constraints.sensitiveWords.some((word) => lower.includes(word)) ? 40005 : 0;
}
