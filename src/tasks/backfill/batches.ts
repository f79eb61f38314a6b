import type { Row } from '../rows/columns.ts';
import { type RowRules, type ValidatedRow, validateRow } from './validate-rows.ts';

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
  let left = skip;
  let batch: ValidatedRow[] = [];
  let users = new Set<string>();
  for await (const row of rows) {
    if (signal.aborted) return;
    if (left > 0) {
      left--;
      continue;
    }
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
  const pieces = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      while (!ended && pending.length < atOnce) {
        const next = await pieces.next();
        if (next.done === true) {
          ended = true;
          break;
        }
        const begun = work(next.value);
        // A rejection is thrown when its turn comes. Until then it must not count as unhandled.
        begun.catch(() => undefined);
        pending.push(begun);
      }
      const first = pending.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    await pieces.return?.();
  }
}
