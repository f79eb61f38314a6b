import type { EventRules } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import { MAX_PROFILE_BYTES } from '../../event/parse.ts';
import { byteLength } from '../../event/text.ts';
import { validateUser } from '../../event/validate.ts';
import type { Row } from '../rows/row.ts';
import { mangledNumber } from '../rows/spreadsheet-damage.ts';

export interface JudgeRules extends EventRules {
  /** IDs that look as if a spreadsheet had written them are taken as they stand. */
  readonly allowMangled: boolean;
}

/** A row that can be imported, or the reason why not. */
export type Judged =
  | { readonly ok: true; readonly row: Row; readonly user: UserInput; readonly isLong: boolean }
  | { readonly ok: false; readonly row: Row; readonly reason: string };

/**
 * Judges a row as the producer judges a user. `isLong`: its nick or picture takes more than 500 bytes, so that the
 * account will be made without it. Pure.
 */
export function judgeRow(row: Row, rules: JudgeRules): Judged {
  if (row.problem !== undefined) return { ok: false, row, reason: row.problem };
  const { identifierType, password, ...own } = row.user;
  // A file may hold passwords that nobody asked for: they go nowhere.
  const user = rules.form === 'hosted' ? { ...own, identifierType, password } : own;
  const problems = validateUser(user, rules);
  const mangled = rules.allowMangled ? undefined : mangledNumber(user.userId);
  if (mangled !== undefined) problems.unshift(mangled);
  if (problems.length > 0) return { ok: false, row, reason: problems.join('; ') };
  const valid = user as unknown as UserInput;
  return { ok: true, row, user: valid, isLong: isLong(valid.nick) || isLong(valid.faceUrl) };
}

/** Numbers that stand in our own words: types and limits. */
const OUR_NUMBERS: ReadonlySet<string> = new Set(['0', '1', '32', '500']);

/** What a reject is counted as: its reason without what is its own. */
export function kindOfReason(reason: string): string {
  return reason
    .replace(/^userId \S+ is a number/, 'userId is a number')
    .replace(/\b\d+\b/g, (number) => (OUR_NUMBERS.has(number) ? number : 'N'));
}

function isLong(value: string | null | undefined): boolean {
  return typeof value === 'string' && byteLength(value) > MAX_PROFILE_BYTES;
}
