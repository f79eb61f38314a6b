import type { UserInput } from '../../event/fields.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import type { AccountChecks, Presence } from '../account-checks.ts';
import type { Row } from '../rows/row.ts';
import { type Batch, batches } from './batches.ts';
import { ordered } from './ordered.ts';
import type { Judged, JudgeRules } from './validate-row.ts';

/**
 * Where a row's user is.
 * - `imported`: the account is there.
 * - `under-way`: it is not, but an event of the user is in a call.
 * - `dead`: it is not, and events of the user ended as dead letters.
 * - `missing`: it is not, and nothing speaks of the user but, perhaps, an event that waits in the intake.
 * - `unasked`: the API does not say. `rejected`: the row does not hold up.
 */
export type RowState = 'imported' | 'under-way' | 'dead' | 'missing' | 'unasked' | 'rejected';

export type VerifyCounts = Readonly<Record<RowState | 'rows' | 'enqueued', number>>;

export interface VerifiedRow {
  readonly row: Row;
  readonly user?: UserInput;
  readonly state: RowState;
  /** Of `unasked` and `rejected`. */
  readonly reason?: string;
}

const BATCHES_AT_ONCE = 100;
const NO_COUNTS: VerifyCounts = {
  rows: 0,
  imported: 0,
  'under-way': 0,
  dead: 0,
  missing: 0,
  unasked: 0,
  rejected: 0,
  enqueued: 0,
};

/**
 * Asks after every row's user, a hundred at a time, and tells what was found in the order of the rows. Changes
 * nothing itself. Resolves with the counts of what was told until the end, or until `signal` was aborted.
 */
export async function verifyRows(options: {
  readonly rows: AsyncIterable<Row>;
  readonly rules: JudgeRules;
  readonly checks: Pick<AccountChecks, 'ask'>;
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Takes the rows of a batch; answers how many of them it added to the intake. */
  readonly onRows: (rows: readonly VerifiedRow[]) => Promise<number>;
  readonly onProgress: (counts: VerifyCounts) => void;
  readonly signal: AbortSignal;
}): Promise<VerifyCounts> {
  const { rows, rules, checks, redis, keys, onRows, onProgress, signal } = options;
  let counts = NO_COUNTS;
  const verify = async (batch: Batch): Promise<VerifiedRow[]> => {
    const presence =
      batch.userIds.length === 0 ? new Map<string, Presence>() : await checks.ask(batch.userIds);
    const missing = batch.userIds.filter((userId) => presence.get(userId)?.kind === 'missing');
    const traces = await tracesOf(redis, keys, missing);
    return batch.judged.map((judged) => verified(judged, presence, traces));
  };
  try {
    for await (const found of ordered(batches(rows, rules, 0, signal), BATCHES_AT_ONCE, verify)) {
      if (signal.aborted) break;
      const enqueued = await onRows(found);
      const next: Record<keyof VerifyCounts, number> = { ...counts };
      for (const { state } of found) next[state]++;
      next.rows += found.length;
      next.enqueued += enqueued;
      counts = next;
      onProgress(counts);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return counts;
}

type Trace = 'under-way' | 'dead';

/** What Redis knows of users whose account is not there. */
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
  judged: Judged,
  presence: ReadonlyMap<string, Presence>,
  traces: ReadonlyMap<string, Trace>,
): VerifiedRow {
  const { row } = judged;
  if (!judged.ok) return { row, state: 'rejected', reason: judged.reason };
  const { user } = judged;
  const found = presence.get(user.userId);
  if (found?.kind === 'imported') return { row, user, state: 'imported' };
  if (found?.kind === 'missing') return { row, user, state: traces.get(user.userId) ?? 'missing' };
  const why = found === undefined ? '' : `: ${found.errorCode} ${found.errorInfo}`;
  return {
    row,
    user,
    state: 'unasked',
    reason: `account_check does not say whether the account is there${why}`,
  };
}
