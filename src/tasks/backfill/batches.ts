import type { Row } from '../rows/row.ts';
import { type Judged, type JudgeRules, judgeRow } from './validate-row.ts';

/** Rows that go through the import together: at most 100 users, as many as account_check takes. */
export interface Batch {
  readonly judged: readonly Judged[];
  /** Distinct users of the rows that hold up. */
  readonly userIds: readonly string[];
}

const MAX_USERS = 100;
/** Many rows that do not hold up, or of one user, must not pile up. */
const MAX_ROWS = 500;

/**
 * Groups rows, in their order; the first `skip` of them are passed over. Stops reading once `signal` is aborted.
 */
export async function* batches(
  rows: AsyncIterable<Row>,
  rules: JudgeRules,
  skip: number,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  let left = skip;
  let judged: Judged[] = [];
  let users = new Set<string>();
  for await (const row of rows) {
    if (signal.aborted) return;
    if (left > 0) {
      left--;
      continue;
    }
    const one = judgeRow(row, rules);
    judged.push(one);
    if (one.ok) users.add(one.user.userId);
    if (users.size < MAX_USERS && judged.length < MAX_ROWS) continue;
    yield { judged, userIds: [...users] };
    judged = [];
    users = new Set();
  }
  if (judged.length > 0 && !signal.aborted) yield { judged, userIds: [...users] };
}
