import type { UserInput } from '../../event/fields.ts';
import type { AccountChecks, Presence } from '../checks/account-checks.ts';
import type { Row } from '../rows/columns.ts';
import { BATCHES_AT_ONCE, type Batch, batches, mapInOrder } from './batches.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { InFlightLimit } from './in-flight-limit.ts';
import type { Reject, RejectFile } from './reject-file.ts';
import type { StreamWriter } from './stream-writer.ts';
import type { RowRules } from './validate-rows.ts';

/** What an import is made of. */
export interface ImportParts {
  readonly rows: AsyncIterable<Row>;
  readonly rules: RowRules;
  /** Tells which accounts exist; undefined to add all users. */
  readonly checks: Pick<AccountChecks, 'ask'> | undefined;
  readonly limit: InFlightLimit;
  readonly writer: StreamWriter;
  readonly rejects: RejectFile;
  /** Whether a user needs a call of its own. */
  readonly isAlone: (user: UserInput) => boolean;
  /** The checkpoint to go on from. */
  readonly from: Checkpoint;
  /** Resolves when the checkpoint is written. */
  readonly save: (checkpoint: Checkpoint) => Promise<void>;
  readonly onProgress: (at: Checkpoint) => void;
  /** Once aborted, the import ends after the current step, with the checkpoint written. */
  readonly signal: AbortSignal;
}

/** A batch with what account_check said of its users. */
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
  const { rows, rules, checks, rejects, save, onProgress, signal } = parts;
  let checkpoint = parts.from;
  let savedAtMs = performance.now();
  let isSaved = true;

  const saveNow = async (): Promise<void> => {
    await save(checkpoint);
    savedAtMs = performance.now();
    isSaved = true;
  };

  const finish = async (checked: CheckedBatch): Promise<void> => {
    const presence = await refreshed(checked, checks);
    const sorted = sort(checked.batch, checks === undefined ? undefined : presence);
    await addAll(parts, sorted.add);
    await rejects.add(sorted.rejects);
    checkpoint = advanced(checkpoint, checked.batch, sorted, rejects.bytes);
    isSaved = false;
    onProgress(checkpoint);
    if (performance.now() - savedAtMs >= SAVE_EVERY_MS) await saveNow();
  };

  try {
    const read = batches(rows, rules, parts.from.rows, signal);
    for await (const checked of mapInOrder(read, BATCHES_AT_ONCE, (batch) => check(batch, checks))) {
      if (signal.aborted) break;
      await finish(checked);
    }
  } catch (error) {
    if (!signal.aborted) {
      if (!isSaved) await saveNow();
      throw error;
    }
  }
  if (!isSaved) await saveNow();
  return checkpoint;
}

async function check(batch: Batch, checks: ImportParts['checks']): Promise<CheckedBatch> {
  const presence =
    checks === undefined || batch.userIds.length === 0
      ? new Map<string, Presence>()
      : await checks.ask(batch.userIds);
  return { batch, presence, askedAtMs: performance.now() };
}

/** Asks again for missing accounts when the answer is stale. */
async function refreshed(
  { presence, askedAtMs }: CheckedBatch,
  checks: ImportParts['checks'],
): Promise<CheckedBatch['presence']> {
  if (checks === undefined || performance.now() - askedAtMs <= STALE_MS) return presence;
  const missing = [...presence].filter(([, { kind }]) => kind === 'missing').map(([userId]) => userId);
  return missing.length === 0 ? presence : new Map([...presence, ...(await checks.ask(missing))]);
}

/** Adds users to the intake as fast as the in-flight limit allows. */
export async function addAll(
  { limit, writer, isAlone }: Pick<ImportParts, 'limit' | 'writer' | 'isAlone'>,
  users: readonly UserInput[],
): Promise<void> {
  for (let from = 0; from < users.length; ) {
    const rest = users.slice(from);
    const headroom = await limit.headroom(rest.length, (at) => isAlone(rest[at] as UserInput));
    await writer.write(rest.slice(0, headroom));
    from += headroom;
  }
}

/** The checkpoint after a batch. */
function advanced(checkpoint: Checkpoint, batch: Batch, sorted: Sorted, rejectBytes: number): Checkpoint {
  const { counts } = checkpoint;
  return {
    ...checkpoint,
    rows: checkpoint.rows + batch.rows.length,
    rejectBytes,
    counts: {
      rows: counts.rows + batch.rows.length,
      rejected: counts.rejected + sorted.rejects.length - sorted.unasked,
      there: counts.there + sorted.there,
      unasked: counts.unasked + sorted.unasked,
      added: counts.added + sorted.add.length,
    },
  };
}

interface Sorted {
  readonly add: readonly UserInput[];
  readonly rejects: readonly Reject[];
  readonly there: number;
  readonly unasked: number;
}

/** Decides which users of a batch are added. Without `presence` every valid row is. */
function sort(batch: Batch, presence: ReadonlyMap<string, Presence> | undefined): Sorted {
  const add: UserInput[] = [];
  const rejects: Reject[] = [];
  let there = 0;
  let unasked = 0;
  for (const validated of batch.rows) {
    if (!validated.ok) {
      rejects.push(validated);
      continue;
    }
    const { row, user } = validated;
    const found = presence?.get(user.userId);
    if (presence === undefined || found?.kind === 'missing') add.push(user);
    else if (found?.kind === 'imported') there++;
    else {
      unasked++;
      rejects.push({ row, reason: noVerdictReason(found) });
    }
  }
  return { add, rejects, there, unasked };
}

/** Why a row is not decided: account_check refused, or gave no verdict. */
export function noVerdictReason(found: Extract<Presence, { kind: 'refused' }> | undefined): string {
  const why = found === undefined ? '' : `: ${found.errorCode} ${found.errorInfo}`;
  return `account_check does not say whether the account is there${why}`;
}
