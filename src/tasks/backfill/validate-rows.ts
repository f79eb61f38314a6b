import type { Config } from '../../config/config.ts';
import { type EventRules, isAbsent } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import { MAX_PROFILE_BYTES } from '../../event/fields.ts';
import { byteLength } from '../../event/text.ts';
import { validateUser } from '../../event/validate.ts';
import { commandPair, quotaOf, ratePerSecond } from '../../pace/budget.ts';
import type { Row } from '../rows/columns.ts';
import { spreadsheetDamage } from '../rows/spreadsheet-damage.ts';

export interface RowRules extends EventRules {
  /** Accept user IDs that look as if a spreadsheet had changed them. */
  readonly allowMangled: boolean;
}

/** A row that can be imported, or the reason why it cannot. */
export type ValidatedRow =
  | { readonly ok: true; readonly row: Row; readonly user: UserInput }
  | { readonly ok: false; readonly row: Row; readonly reason: string };

/** Validates a row by the producer's rules for a user. Pure. */
export function validateRow(row: Row, rules: RowRules): ValidatedRow {
  if (row.problem !== undefined) return { ok: false, row, reason: row.problem };
  const { identifierType, password, ...own } = row.user;
  // Only the hosted form takes passwords. With the other forms a password in the file is dropped here.
  const user = rules.form === 'hosted' ? { ...own, identifierType, password } : own;
  const problems = validateUser(user, rules);
  const damage = rules.allowMangled ? undefined : spreadsheetDamage(user.userId);
  if (damage !== undefined) problems.unshift(damage);
  if (problems.length > 0) return { ok: false, row, reason: problems.join('; ') };
  return { ok: true, row, user: user as unknown as UserInput };
}

/** Rows that go through the import together: at most 100 users, as many as one account_check takes. */
export interface Batch {
  readonly rows: readonly ValidatedRow[];
  /** Distinct users of the valid rows. */
  readonly userIds: readonly string[];
}

const MAX_USERS = 100;
/** Bounds a batch of many invalid rows, or of many rows of one user. */
const MAX_ROWS = 500;

/** Groups rows in their order, without the first `skip`. Stops reading once `signal` is aborted. */
export async function* batches(
  rows: AsyncIterable<Row>,
  rules: RowRules,
  skip: number,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  let read = 0;
  let batch: ValidatedRow[] = [];
  let users = new Set<string>();
  for await (const row of rows) {
    if (signal.aborted) return;
    if (++read <= skip) continue;
    const validated = validateRow(row, rules);
    batch.push(validated);
    if (validated.ok) users.add(validated.user.userId);
    if (users.size < MAX_USERS && batch.length < MAX_ROWS) continue;
    yield { rows: batch, userIds: [...users] };
    batch = [];
    users = new Set();
  }
  if (batch.length > 0 && !signal.aborted) yield { rows: batch, userIds: [...users] };
}

/** Batches that are asked about, or wait to be added, at a time: one second of account_check's quota. */
export const BATCHES_AT_ONCE = 100;

/**
 * Runs `work` on several pieces at a time and yields the results in the source's order. At most `atOnce`
 * pieces are being worked on or wait to be taken, so memory stays flat. Rejects with the first error in that
 * order; pieces that were begun by then run on, and their results are dropped.
 */
export async function* mapInOrder<T, R>(
  source: AsyncIterable<T>,
  atOnce: number,
  work: (piece: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  for await (const piece of source) {
    const begun = work(piece);
    // A rejection is thrown when its turn comes. Until then it must not count as unhandled.
    begun.catch(() => undefined);
    if (pending.push(begun) < atOnce) continue;
    yield (await pending.shift()) as R;
  }
  for (const begun of pending) yield await begun;
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
    if (spreadsheetDamage(row.user.userId) !== undefined) found.mangled++;
    const validated = validateRow(row, rules);
    if (validated.ok) {
      const { user } = validated;
      found.valid++;
      if (!isAbsent(user.nick)) found.withNick++;
      if (!isAbsent(user.faceUrl)) found.withFaceUrl++;
      if (isLong(user.nick) || isLong(user.faceUrl)) found.longProfiles++;
      if (isAlone(user)) found.alone++;
    } else {
      found.rejected++;
      const reason = kindOfReason(validated.reason);
      const kind = kinds.get(reason) ?? kinds.get(MORE);
      if (kind !== undefined) kind.rows++;
      else kinds.set(kinds.size < MAX_KINDS ? reason : MORE, { rows: 1, firstLine: row.line });
    }
    if (found.rows % 1_000 === 0) onProgress(found.rows);
  }
  const reasons = [...kinds].map(([reason, kind]) => ({ reason, ...kind })).sort((a, b) => b.rows - a.rows);
  return { ...found, reasons };
}

function isLong(value: string | null | undefined): boolean {
  return typeof value === 'string' && byteLength(value) > MAX_PROFILE_BYTES;
}

/** Numbers that occur in our own reasons (types and limits), and so are not the row's. */
const OUR_NUMBERS: ReadonlySet<string> = new Set(['0', '1', '32', '500']);

/** The kind of a reason: its text without the row's own ID and numbers. */
function kindOfReason(reason: string): string {
  return reason
    .replace(/^userId \S+ is a number/, 'userId is a number')
    .replace(/\b\d+\b/g, (number) => (OUR_NUMBERS.has(number) ? number : 'N'));
}

/** Returns how long the import takes in seconds if it has the whole quota and no account exists yet. */
export function secondsAtQuota(config: Config, { valid, alone }: Pick<DryRun, 'valid' | 'alone'>): number {
  const { batch, single } = commandPair(config.api.form);
  const perSecond = (command: typeof batch): number => ratePerSecond(quotaOf(config, command));
  return (valid - alone) / (perSecond(batch) * config.batch.maxSize) + alone / perSecond(single);
}
