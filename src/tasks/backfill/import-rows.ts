import type { UserInput } from '../../event/fields.ts';
import type { AccountChecks, Presence } from '../check-users.ts';
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
import type { Checkpoint, ImportCounts, RejectFile } from './import-files.ts';
import type { RowRules } from './validate-rows.ts';

/** What an import is made of. */
export interface ImportParts {
  readonly rows: AsyncIterable<Row>;
  readonly rules: RowRules;
  /** Tells which accounts exist; undefined to add all users. */
  readonly checks: Pick<AccountChecks, 'ask'> | undefined;
  /** Adds users to the intake. Resolves when Redis has acknowledged them. */
  readonly add: (users: readonly UserInput[]) => Promise<void>;
  readonly rejects: Pick<RejectFile, 'add' | 'bytes'>;
  /** The checkpoint to go on from. */
  readonly from: Checkpoint;
  /** Resolves when the checkpoint is written. */
  readonly save: (checkpoint: Checkpoint) => Promise<void>;
  readonly onProgress: (at: Checkpoint) => void;
  /** Once aborted, the import ends after the current step, with the checkpoint written. */
  readonly signal: AbortSignal;
}

/** A batch, and what account_check said of its users; undefined without checks. */
interface AskedBatch {
  readonly batch: Batch;
  readonly presence: ReadonlyMap<string, Presence> | undefined;
  readonly askedAtMs: number;
}

const SAVE_EVERY_MS = 1_000;
/** An older answer is asked for again: the user may have signed up meanwhile. */
const STALE_MS = 30_000;

/**
 * Adds the rows of a file to the intake in their order, so that the last of a user's rows wins. A row counts
 * as done when Redis has acknowledged it, or the reject file has it.
 *
 * Resolves with the checkpoint when all rows are done or `signal` was aborted. Rejects when the rows become
 * unreadable, the API refuses to answer, or Redis refuses for good. Then the checkpoint is saved first.
 */
export async function importRows(parts: ImportParts): Promise<Checkpoint> {
  const { rows, rules, checks, add, rejects, from, save, onProgress, signal } = parts;
  let checkpoint = from;
  let saved = from;
  let savedAtMs = performance.now();
  const saveNow = async (): Promise<void> => {
    if (saved === checkpoint) return;
    await save(checkpoint);
    saved = checkpoint;
    savedAtMs = performance.now();
  };
  // The rows of a query begin after the key of the checkpoint.
  const read = batches(rows, rules, from.key === undefined ? from.rows : 0, signal);
  try {
    for await (const asked of mapInOrder(read, BATCHES_AT_ONCE, (batch) => ask(batch, checks))) {
      if (signal.aborted) break;
      const found = checkedRows(asked.batch, await refreshed(asked, checks));
      await add(found.flatMap(({ state, user }) => (state === 'missing' && user ? [user] : [])));
      await rejects.add(found.flatMap(({ row, reason }) => (reason === undefined ? [] : [{ row, reason }])));
      checkpoint = advanced(checkpoint, found, rejects.bytes);
      onProgress(checkpoint);
      if (performance.now() - savedAtMs >= SAVE_EVERY_MS) await saveNow();
    }
  } catch (error) {
    if (!signal.aborted) {
      await saveNow();
      throw error;
    }
  }
  await saveNow();
  return checkpoint;
}

async function ask(batch: Batch, checks: ImportParts['checks']): Promise<AskedBatch> {
  const presence = await checks?.ask(batch.userIds);
  return { batch, presence, askedAtMs: performance.now() };
}

/** Asks again for missing accounts when the answer is stale. */
async function refreshed(
  { presence, askedAtMs }: AskedBatch,
  checks: ImportParts['checks'],
): Promise<AskedBatch['presence']> {
  if (!checks || !presence || performance.now() - askedAtMs <= STALE_MS) return presence;
  const missing = [...presence].filter(([, { kind }]) => kind === 'missing').map(([userId]) => userId);
  return missing.length === 0 ? presence : new Map([...presence, ...(await checks.ask(missing))]);
}

const COUNTED_AS = {
  missing: 'added',
  imported: 'there',
  unasked: 'unasked',
  rejected: 'rejected',
} as const satisfies Record<CheckedState, keyof ImportCounts>;

function advanced(checkpoint: Checkpoint, found: readonly CheckedRow[], rejectBytes: number): Checkpoint {
  const counts = { ...checkpoint.counts, rows: checkpoint.counts.rows + found.length };
  for (const { state } of found) counts[COUNTED_AS[state]]++;
  const key = found.at(-1)?.row.key;
  return {
    ...checkpoint,
    rows: checkpoint.rows + found.length,
    rejectBytes,
    counts,
    ...(key !== undefined && { key }),
  };
}
