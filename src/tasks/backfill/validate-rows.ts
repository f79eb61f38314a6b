import type { Config } from '../../config/config.ts';
import { type EventRules, isAbsent } from '../../event/event.ts';
import { MAX_PROFILE_BYTES, type UserInput } from '../../event/fields.ts';
import { ALL_ODD_IDS, oddId, oddNick } from '../../event/odd-values.ts';
import { byteLength } from '../../event/text.ts';
import { validateUser } from '../../event/validate.ts';
import { commandPair, quotaOf, ratePerSecond } from '../../pace/budget.ts';
import type { Row } from '../rows/columns.ts';
import type { OddRows } from '../rows/odd-rows.ts';
import { isMangled } from '../rows/spreadsheet-damage.ts';

export interface RowRules extends EventRules {
  /** Accept numbers with decimals, which only files refuse: a spreadsheet has added them there. */
  readonly allowDecimals: boolean;
  /** Hears of each row that is valid. */
  readonly odd: Pick<OddRows, 'saw'>;
}

export interface ValidatedRow {
  readonly row: Row;
  /** Absent when the row cannot be imported. */
  readonly user?: UserInput;
  /** Why the row is not imported. */
  readonly reason?: string;
}

/** Validates a row by the producer's rules for a user, and tells `rules.odd` of a valid one. */
export function validateRow(row: Row, rules: RowRules): ValidatedRow {
  if (row.problem !== undefined) return { row, reason: row.problem };
  const { identifierType, password, ...own } = row.user;
  // Only the hosted form takes passwords. With the other forms a password in the file is dropped here.
  const user = rules.form === 'hosted' ? { ...own, identifierType, password } : own;
  const problems = validateUser(user, rules);
  const odd = typeof user.userId === 'string' ? oddId(user.userId) : undefined;
  if (odd?.kind === 'decimals' && !rules.allowDecimals) problems.unshift(odd.text);
  if (
    typeof user.nick === 'string' &&
    oddNick(user.nick) === 'control' &&
    !rules.allowOddIds?.includes(ALL_ODD_IDS)
  )
    problems.push('nick holds control characters, such as NUL');
  if (problems.length > 0) return { row, reason: problems.join('; ') };
  const valid = user as unknown as UserInput;
  rules.odd.saw(row.line, valid);
  return { row, user: valid };
}

/** Whether a user needs a call of its own. cut.lua decides by the same rule. */
export function needsOwnCall(form: EventRules['form']): (user: UserInput) => boolean {
  return ({ type, nick, faceUrl }) =>
    form === 'hosted' ||
    (form === 'legacy' && (Number(type) === 1 || !(isAbsent(nick) && isAbsent(faceUrl))));
}

/** What an import of a file would do. Found without asking Redis or the API. */
export interface DryRun {
  readonly rows: number;
  readonly valid: number;
  readonly rejected: number;
  /** Rejected rows by kind of reason, with the line of the first. */
  readonly reasons: readonly { readonly reason: string; readonly rows: number; readonly firstLine: number }[];
  readonly withNick: number;
  readonly withFaceUrl: number;
  /** Rows with a nick or picture over 500 bytes: the account is made without it. */
  readonly longProfiles: number;
  /** Rows whose user needs a call of its own. */
  readonly alone: number;
  /** Rows whose user ID a spreadsheet has changed. */
  readonly mangled: number;
}

/** Further kinds are counted together, since a reason may quote the file. */
const MAX_KINDS = 50;
const MORE = 'other reasons';

export async function dryRun(
  rows: AsyncIterable<Row>,
  rules: RowRules,
  onProgress: (rows: number) => void,
  signal: AbortSignal,
): Promise<DryRun> {
  const isAlone = needsOwnCall(rules.form);
  const kinds = new Map<string, { rows: number; firstLine: number }>();
  const found = {
    ...{ rows: 0, valid: 0, rejected: 0 },
    ...{ withNick: 0, withFaceUrl: 0, longProfiles: 0, alone: 0, mangled: 0 },
  };
  for await (const row of rows) {
    if (signal.aborted) break;
    found.rows++;
    if (isMangled(row.user.userId)) found.mangled++;
    const { user, reason = '' } = validateRow(row, rules);
    if (user !== undefined) {
      found.valid++;
      if (!isAbsent(user.nick)) found.withNick++;
      if (!isAbsent(user.faceUrl)) found.withFaceUrl++;
      if (isLong(user.nick) || isLong(user.faceUrl)) found.longProfiles++;
      if (isAlone(user)) found.alone++;
    } else {
      found.rejected++;
      const name = kindOfReason(reason);
      const kind = kinds.get(name) ?? kinds.get(MORE);
      if (kind !== undefined) kind.rows++;
      else kinds.set(kinds.size < MAX_KINDS ? name : MORE, { rows: 1, firstLine: row.line });
    }
    if (found.rows % 1_000 === 0) onProgress(found.rows);
  }
  const reasons = [...kinds].map(([reason, kind]) => ({ reason, ...kind })).sort((a, b) => b.rows - a.rows);
  return { ...found, reasons };
}

function isLong(value: string | null | undefined): boolean {
  return typeof value === 'string' && byteLength(value) > MAX_PROFILE_BYTES;
}

/** The kind of a reason: its text without the row's own numbers. Others are limits and examples of ours. */
function kindOfReason(reason: string): string {
  return reason.replace(/\b(is|take|next) \d+ (bytes|lines)\b/g, '$1 N $2');
}

/** Returns how long the import takes in seconds if it has the whole quota and no account exists yet. */
export function secondsAtQuota(config: Config, { valid, alone }: Pick<DryRun, 'valid' | 'alone'>): number {
  const { batch, single } = commandPair(config.api.form);
  const perSecond = (command: typeof batch): number => ratePerSecond(quotaOf(config, command));
  return (valid - alone) / (perSecond(batch) * config.batch.maxSize) + alone / perSecond(single);
}
