import type { AccountItem } from './account-item.ts';

/** What an account must be like, apart from what is stored already. */
export interface AccountRules {
  readonly adminId: string;
  /** Lower case; found anywhere in Nick or FaceUrl, whatever its case. */
  readonly sensitiveWords: readonly string[];
  /** Refuse IDs with other than printable ASCII (reported by users not to work). */
  readonly asciiIdsOnly: boolean;
}

const MAX_ID_BYTES = 32;
const MAX_PROFILE_BYTES = 500;
const SERVICE_PREFIXES = ['@TGS#', '@TLS#', '@TIM#', '@TOA#'];
const ROBOT_PREFIX = '@RBT#';

/**
 * The code with which the API refuses this account, or 0.
 * 70402 for the ID, 40601 for a profile value over 500 bytes, 40005 for a sensitive word.
 *
 * Source: API reference, account_import and multiaccount_import (2025-04).
 */
export function judgeAccount(item: AccountItem, rules: AccountRules): number {
  const idCode = judgeUserId(item.userId, rules, item.type === 1);
  if (idCode !== 0) return idCode;
  return judgeProfileValue(item.nick, rules) || judgeProfileValue(item.faceUrl, rules);
}

/** 70402 for an ID that no account can have, or 0. */
export function judgeUserId(userId: string, rules: AccountRules, robot: boolean): number {
  if (userId === '' || Buffer.byteLength(userId) > MAX_ID_BYTES || userId === rules.adminId) return 70402;
  if (rules.asciiIdsOnly && !/^[\x20-\x7e]+$/.test(userId)) return 70402;
  if (userId.charCodeAt(0) === 0x40) {
    if (SERVICE_PREFIXES.some((prefix) => userId.startsWith(prefix))) return 70402;
    if (userId.startsWith(ROBOT_PREFIX) && !robot) return 70402;
  }
  return 0;
}

function judgeProfileValue(value: string | undefined, rules: AccountRules): number {
  if (value === undefined) return 0;
  // A UTF-16 unit is at most three bytes of UTF-8: short values need no counting.
  if (value.length * 3 > MAX_PROFILE_BYTES && Buffer.byteLength(value) > MAX_PROFILE_BYTES) return 40601;
  if (rules.sensitiveWords.length === 0) return 0;
  const lower = value.toLowerCase();
  return rules.sensitiveWords.some((word) => lower.includes(word)) ? 40005 : 0;
}
