import { setTimeout as sleep } from 'node:timers/promises';
import type { UserInput } from '../../event/fields.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { type RowRules, validateRow } from '../backfill/validate-rows.ts';
import { type VerifiedRow, type VerifyCounts, verifyRows } from '../backfill/verify-rows.ts';
import type { AccountChecks } from '../check-users.ts';
import type { Row } from '../rows/columns.ts';
import type { QueryRows } from '../rows/query-rows.ts';
import { endRun, type OpenRun, type ReconcileCounts, saveRun } from './reconcile-state.ts';

export interface ReconcileParts extends AppRedis {
  readonly source: Pick<QueryRows, 'rows' | 'again'>;
  readonly rules: RowRules;
  readonly checks: Pick<AccountChecks, 'ask'>;
  /** Adds users to the intake; undefined to add none. */
  readonly add: ((users: readonly UserInput[]) => Promise<void>) | undefined;
  /** Gets each user who is missing at both looks, before it is added. */
  readonly onMissing: (rows: readonly VerifiedRow[]) => Promise<void>;
  readonly onProgress: (counts: ReconcileCounts) => void;
  readonly from: OpenRun;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Between the two looks: a signup takes less from its commit to its account. */
  readonly graceMs: number;
}

/** A stretch of the table ends with so many missing users, or after so long. Then the place is saved. */
const STRETCH = { missing: 5_000, ms: 30_000 };
const AGAIN_ROWS = 500;
/** A profile that changes between two readings is added again, so often at most. */
const MOST_CHANGES = 10;

/**
 * Compares a table of users with the accounts, stretch by stretch. Who is missing at the first look is read
 * and asked for again later: signups are on their way at any time. Resolves to the counts; `isEnd` is false
 * when `signal` was aborted, and the run can go on then.
 */
export async function reconcile(
  parts: ReconcileParts,
): Promise<{ readonly counts: ReconcileCounts; readonly isEnd: boolean }> {
  const { source, from, signal, onProgress, nowMs } = parts;
  const after = from.key === undefined ? undefined : { key: from.key, rows: from.counts.rows };
  const rows = source.rows(after);
  let { key, counts } = from;
  let isEnd = false;
  while (!isEnd && !signal.aborted) {
    const missing: string[] = [];
    let lastKey = key;
    const untilMs = performance.now() + STRETCH.ms;
    const stretch = async function* (): AsyncGenerator<Row> {
      while (missing.length < STRETCH.missing && performance.now() < untilMs) {
        const next = await rows.next();
        if (next.done === true) {
          isEnd = true;
          return;
        }
        lastKey = next.value.key;
        yield next.value;
      }
    };
    const before = counts;
    const first = await verifyRows({
      ...parts,
      rows: stretch(),
      async onRows(found) {
        for (const { state, row } of found) if (state === 'missing') missing.push(row.key ?? '');
        return 0;
      },
      onProgress: (soFar) => onProgress(added(before, soFar)),
    });
    if (signal.aborted) break;
    const settled = missing.length === 0 ? undefined : await secondLook(parts, missing);
    if (signal.aborted) break;
    counts = added(before, { ...first, missing: 0, rows: first.rows - missing.length });
    if (settled !== undefined) counts = added(counts, settled);
    key = lastKey;
    onProgress(counts);
    if (!isEnd) await saveRun(parts, { ...from, key, counts });
  }
  const { identity, startedAt } = from;
  if (isEnd && !signal.aborted) await endRun(parts, { identity, startedAt, endedAt: nowMs(), counts });
  return { counts, isEnd: isEnd && !signal.aborted };
}

/** Reads these rows as they are now, asks again, and adds who is still missing. A user who is gone counts no more. */
async function secondLook(parts: ReconcileParts, keys: readonly string[]): Promise<VerifyCounts> {
  const { source, signal, add, onMissing } = parts;
  await sleep(parts.graceMs, undefined, { signal }).catch(() => undefined);
  return verifyRows({
    ...parts,
    rows: rowsOf(source, keys),
    async onRows(found) {
      const missing = found.filter(({ state }) => state === 'missing');
      if (missing.length === 0) return 0;
      await onMissing(missing);
      if (add === undefined) return 0;
      await addAsTheyAre(parts, add, missing);
      return missing.length;
    },
    onProgress: () => undefined,
  });
}

async function* rowsOf(source: ReconcileParts['source'], keys: readonly string[]): AsyncGenerator<Row> {
  for (let from = 0; from < keys.length; from += AGAIN_ROWS)
    yield* await source.again(keys.slice(from, from + AGAIN_ROWS));
}

/**
 * Adds users with the profile that the table has now. A profile may change between the reading and the
 * adding, and its own event may be in Redis already: then the older one would be last. So each row is read
 * again after it was added, and added again if it has changed. A change after that reading has an event that
 * comes later.
 */
async function addAsTheyAre(
  { source, rules }: ReconcileParts,
  add: (users: readonly UserInput[]) => Promise<void>,
  missing: readonly VerifiedRow[],
): Promise<void> {
  const known = new Map(missing.map(({ row }) => [row.key ?? '', JSON.stringify(row.user)]));
  let keys = [...known.keys()];
  let rows = await source.again(keys);
  for (let changes = 0; rows.length > 0 && changes < MOST_CHANGES; changes++) {
    await add(rows.flatMap((row) => validateRow(row, rules).user ?? []));
    for (const row of rows) known.set(row.key ?? '', JSON.stringify(row.user));
    keys = rows.map((row) => row.key ?? '');
    rows = (await source.again(keys)).filter((row) => known.get(row.key ?? '') !== JSON.stringify(row.user));
  }
}

function added(counts: ReconcileCounts, found: VerifyCounts): ReconcileCounts {
  return {
    rows: counts.rows + found.rows,
    imported: counts.imported + found.imported,
    underWay: counts.underWay + found['under-way'],
    dead: counts.dead + found.dead,
    missing: counts.missing + found.missing,
    unasked: counts.unasked + found.unasked,
    rejected: counts.rejected + found.rejected,
    enqueued: counts.enqueued + found.enqueued,
  };
}
