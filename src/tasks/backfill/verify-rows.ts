import type { AppRedis } from '../../redis/keys.ts';
import type { AccountChecks } from '../check-users.ts';
import type { Row } from '../rows/columns.ts';
import {
  BATCHES_AT_ONCE,
  type Batch,
  batches,
  type CheckedRow,
  type CheckedState,
  checkedRows,
  mapInOrder,
} from './check-rows.ts';
import type { RowRules } from './validate-rows.ts';

/**
 * Where a row's user is. What Redis knows of a missing account:
 * - `under-way`: an event of the user is in a call.
 * - `dead`: events of the user ended as dead letters.
 * - `missing`: at most an event that waits in the intake names the user.
 */
export type RowState = CheckedState | 'under-way' | 'dead';

export type VerifyCounts = Readonly<Record<RowState | 'rows' | 'enqueued', number>>;

export type VerifiedRow = Omit<CheckedRow, 'state'> & { readonly state: RowState };

/**
 * Looks up every row's user, 100 at a time, and reports in the order of the rows. Changes nothing itself.
 * Resolves with the counts when all rows are reported or `signal` was aborted.
 */
export async function verifyRows(
  options: AppRedis & {
    readonly rows: AsyncIterable<Row>;
    readonly rules: RowRules;
    readonly checks: Pick<AccountChecks, 'ask'>;
    /** Takes the rows of a batch. Resolves with the number of them that it added to the intake. */
    readonly onRows: (rows: readonly VerifiedRow[]) => Promise<number>;
    readonly onProgress: (counts: VerifyCounts) => void;
    readonly signal: AbortSignal;
  },
): Promise<VerifyCounts> {
  const { rows, rules, checks, onRows, onProgress, signal } = options;
  const counts = {
    ...{ rows: 0, imported: 0, 'under-way': 0, dead: 0 },
    ...{ missing: 0, unasked: 0, rejected: 0, enqueued: 0 },
  };
  const verify = async (batch: Batch): Promise<VerifiedRow[]> => {
    const presence = await checks.ask(batch.userIds);
    const missing = batch.userIds.filter((userId) => presence.get(userId)?.kind === 'missing');
    const traces = await tracesOf(options, missing);
    return checkedRows(batch, presence).map((found) => {
      const trace = found.state === 'missing' && found.user && traces.get(found.user.userId);
      return trace ? { ...found, state: trace } : found;
    });
  };
  try {
    for await (const found of mapInOrder(batches(rows, rules, 0, signal), BATCHES_AT_ONCE, verify)) {
      if (signal.aborted) break;
      counts.enqueued += await onRows(found);
      counts.rows += found.length;
      for (const { state } of found) counts[state]++;
      onProgress(counts);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return counts;
}

type Trace = 'under-way' | 'dead';

/** What Redis knows of users whose account does not exist. */
async function tracesOf({ redis, keys }: AppRedis, userIds: readonly string[]): Promise<Map<string, Trace>> {
  if (userIds.length === 0) return new Map();
  const [owners, dead] = await Promise.all([
    redis.hmget(keys.owners, ...userIds),
    redis.hmget(keys.deadUsers, ...userIds),
  ]);
  return new Map(
    userIds.flatMap((userId, at): [string, Trace][] =>
      owners[at] ? [[userId, 'under-way']] : Number(dead[at] ?? 0) > 0 ? [[userId, 'dead']] : [],
    ),
  );
}
