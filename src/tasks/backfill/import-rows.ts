import type { UserInput } from '../../event/fields.ts';
import type { AccountChecks } from '../account-checks.ts';
import type { Presence } from '../check-users.ts';
import type { Row } from '../rows/columns.ts';
import type { Checkpoint, ImportCounts, Reject, RejectFile } from './import-files.ts';
import { BATCHES_AT_ONCE, type Batch, batches, mapInOrder, type RowRules } from './validate-rows.ts';

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

/** What account_check said of the users of a batch. */
interface CheckedBatch {
  readonly batch: Batch;
  readonly presence: ReadonlyMap<string, Presence>;
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
  const read = batches(rows, rules, from.rows, signal);
  try {
    for await (const checked of mapInOrder(read, BATCHES_AT_ONCE, (batch) => check(batch, checks))) {
      if (signal.aborted) break;
      const sorted = sort(checked.batch, checks && (await refreshed(checked, checks)));
      await add(sorted.users);
      await rejects.add(sorted.rejects);
      checkpoint = advanced(checkpoint, sorted.counts, rejects.bytes);
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

async function check(batch: Batch, checks: ImportParts['checks']): Promise<CheckedBatch> {
  const presence = await presenceOf(batch, checks);
  return { batch, presence, askedAtMs: performance.now() };
}

/** What account_check says of the users of a batch. It is not asked about nobody. */
export async function presenceOf(
  { userIds }: Batch,
  checks: ImportParts['checks'],
): Promise<ReadonlyMap<string, Presence>> {
  return checks === undefined || userIds.length === 0 ? new Map() : checks.ask(userIds);
}

/** Asks again for missing accounts when the answer is stale. */
async function refreshed(
  { presence, askedAtMs }: CheckedBatch,
  checks: Pick<AccountChecks, 'ask'>,
): Promise<ReadonlyMap<string, Presence>> {
  if (performance.now() - askedAtMs <= STALE_MS) return presence;
  const missing = [...presence].filter(([, { kind }]) => kind === 'missing').map(([userId]) => userId);
  return missing.length === 0 ? presence : new Map([...presence, ...(await checks.ask(missing))]);
}

/** What becomes of the rows of a batch. Without `presence` every valid row is added. */
function sort(
  { rows }: Batch,
  presence: ReadonlyMap<string, Presence> | undefined,
): { users: UserInput[]; rejects: Reject[]; counts: ImportCounts } {
  const users: UserInput[] = [];
  const rejects: Reject[] = [];
  const counts = { rows: rows.length, rejected: 0, there: 0, unasked: 0, added: 0 };
  for (const validated of rows) {
    if (!validated.ok) {
      counts.rejected++;
      rejects.push(validated);
      continue;
    }
    const { row, user } = validated;
    const found = presence?.get(user.userId);
    if (presence === undefined || found?.kind === 'missing') {
      counts.added++;
      users.push(user);
    } else if (found?.kind === 'imported') counts.there++;
    else {
      counts.unasked++;
      rejects.push({ row, reason: noVerdictReason(found) });
    }
  }
  return { users, rejects, counts };
}

function advanced(checkpoint: Checkpoint, more: ImportCounts, rejectBytes: number): Checkpoint {
  const { counts, rows } = checkpoint;
  return {
    ...checkpoint,
    rows: rows + more.rows,
    rejectBytes,
    counts: {
      rows: counts.rows + more.rows,
      rejected: counts.rejected + more.rejected,
      there: counts.there + more.there,
      unasked: counts.unasked + more.unasked,
      added: counts.added + more.added,
    },
  };
}

/** Why a row is not decided: account_check refused, or gave no verdict. */
export function noVerdictReason(found: Extract<Presence, { kind: 'refused' }> | undefined): string {
  const code = found === undefined || found.errorCode === 0 ? '' : `${found.errorCode} `;
  const why = found === undefined ? '' : `: ${code}${found.errorInfo}`;
  return `account_check does not say whether the account is there${why}`;
}
