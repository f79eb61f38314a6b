import type { Presence } from '../check-users.ts';
import type { Row } from '../rows/columns.ts';
import { type RowRules, type ValidatedRow, validateRow } from './validate-rows.ts';

/** Rows that go through together: at most 100 users, as many as one account_check takes. */
export interface Batch {
  readonly rows: readonly ValidatedRow[];
  /** Distinct users of the valid rows. */
  readonly userIds: readonly string[];
}

/**
 * What is known of a row's user.
 * - `imported`, `missing`: the account exists, or not.
 * - `unasked`: the API does not say. `rejected`: the row is invalid.
 */
export type CheckedState = 'imported' | 'missing' | 'unasked' | 'rejected';

export interface CheckedRow extends ValidatedRow {
  readonly state: CheckedState;
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
    if (validated.user !== undefined) users.add(validated.user.userId);
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

/** The rows of a batch, by what account_check says. Without `presence` every valid row counts as missing. */
export function checkedRows(
  { rows }: Batch,
  presence: ReadonlyMap<string, Presence> | undefined,
): CheckedRow[] {
  return rows.map((validated): CheckedRow => {
    const { user } = validated;
    if (user === undefined) return { ...validated, state: 'rejected' };
    if (presence === undefined) return { ...validated, state: 'missing' };
    const found = presence.get(user.userId);
    if (found !== undefined && found.kind !== 'refused') return { ...validated, state: found.kind };
    return { ...validated, state: 'unasked', reason: noVerdictReason(found) };
  });
}

/** Why a row is not decided: account_check refused, or gave no verdict. */
function noVerdictReason(found: Extract<Presence, { kind: 'refused' }> | undefined): string {
  const code = found === undefined || found.errorCode === 0 ? '' : `${found.errorCode} `;
  const why = found === undefined ? '' : `: ${code}${found.errorInfo}`;
  return `account_check does not say whether the account is there${why}`;
}
