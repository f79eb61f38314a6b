import type { UserInput } from '../../event/fields.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import type { AccountChecks } from '../account-checks.ts';
import type { Presence } from '../check-users.ts';
import type { Row } from '../rows/columns.ts';
import { noVerdictReason, presenceOf } from './import-rows.ts';
import {
  BATCHES_AT_ONCE,
  type Batch,
  batches,
  mapInOrder,
  type RowRules,
  type ValidatedRow,
} from './validate-rows.ts';

/**
 * Where a row's user is.
 * - `imported`: the account exists.
 * - `under-way`: the account does not exist, but an event of the user is in a call.
 * - `dead`: the account does not exist, and events of the user ended as dead letters.
 * - `missing`: the account does not exist. At most an event that waits in the intake names the user.
 * - `unasked`: the API does not say. `rejected`: the row is invalid.
 */
export type RowState = 'imported' | 'under-way' | 'dead' | 'missing' | 'unasked' | 'rejected';

export type VerifyCounts = Readonly<Record<RowState | 'rows' | 'enqueued', number>>;

export interface VerifiedRow {
  readonly row: Row;
  readonly user?: UserInput;
  readonly state: RowState;
  /** Set for `unasked` and `rejected`. */
  readonly reason?: string;
}

/**
 * Looks up every row's user, 100 at a time, and reports in the order of the rows. Changes nothing itself.
 * Resolves with the counts when all rows are reported or `signal` was aborted.
 */
export async function verifyRows(options: {
  readonly rows: AsyncIterable<Row>;
  readonly rules: RowRules;
  readonly checks: Pick<AccountChecks, 'ask'>;
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Takes the rows of a batch. Resolves with the number of them that it added to the intake. */
  readonly onRows: (rows: readonly VerifiedRow[]) => Promise<number>;
  readonly onProgress: (counts: VerifyCounts) => void;
  readonly signal: AbortSignal;
}): Promise<VerifyCounts> {
  const { rows, rules, checks, redis, keys, onRows, onProgress, signal } = options;
  const counts = {
    ...{ rows: 0, imported: 0, 'under-way': 0, dead: 0 },
    ...{ missing: 0, unasked: 0, rejected: 0, enqueued: 0 },
  };
  const verify = async (batch: Batch): Promise<VerifiedRow[]> => {
    const presence = await presenceOf(batch, checks);
    const missing = batch.userIds.filter((userId) => presence.get(userId)?.kind === 'missing');
    const traces = await tracesOf(redis, keys, missing);
    return batch.rows.map((validated) => verified(validated, presence, traces));
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
async function tracesOf(
  redis: RedisClient,
  keys: Keys,
  userIds: readonly string[],
): Promise<Map<string, Trace>> {
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

function verified(
  validated: ValidatedRow,
  presence: ReadonlyMap<string, Presence>,
  traces: ReadonlyMap<string, Trace>,
): VerifiedRow {
  const { row } = validated;
  if (!validated.ok) return { row, state: 'rejected', reason: validated.reason };
  const { user } = validated;
  const found = presence.get(user.userId);
  if (found?.kind === 'imported') return { row, user, state: 'imported' };
  if (found?.kind === 'missing') return { row, user, state: traces.get(user.userId) ?? 'missing' };
  return { row, user, state: 'unasked', reason: noVerdictReason(found) };
}
