import type { UserInput } from '../../event/fields.ts';
import type { AccountChecks, Presence } from '../account-checks.ts';
import type { Row } from '../rows/row.ts';
import { type Batch, batches } from './batches.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Gate } from './in-flight-limit.ts';
import { ordered } from './ordered.ts';
import type { Reject, RejectFile } from './reject-file.ts';
import type { Adder } from './stream-writer.ts';
import type { JudgeRules } from './validate-row.ts';

/** What an import is made of. */
export interface ImportParts {
  readonly rows: AsyncIterable<Row>;
  readonly rules: JudgeRules;
  /** Who asks whether the accounts are there; undefined to add all of them. */
  readonly checks: Pick<AccountChecks, 'ask'> | undefined;
  readonly gate: Gate;
  readonly adder: Adder;
  readonly rejects: RejectFile;
  /** Whether a user needs a call of their own. */
  readonly isAlone: (user: UserInput) => boolean;
  /** Where the import stands; goes on from there. */
  readonly from: Checkpoint;
  /** Resolves when it is written. */
  readonly save: (checkpoint: Checkpoint) => Promise<void>;
  readonly onProgress: (at: Checkpoint) => void;
  /** Aborted: it ends after the step at hand, with the checkpoint written. */
  readonly signal: AbortSignal;
}

/** A batch with what account_check said of its users. */
interface Asked {
  readonly batch: Batch;
  readonly presence: ReadonlyMap<string, Presence>;
  readonly askedAtMs: number;
}

/** Batches that are asked for, or wait to be added, at a time: a second of account_check's quota. */
const BATCHES_AT_ONCE = 100;
const SAVE_EVERY_MS = 1_000;
/** An answer older than this is asked for anew: the user may have signed up meanwhile. */
const STALE_MS = 30_000;

/**
 * Adds the rows of a file to the intake, in their order: what is added stands before what comes after it, so of a
 * user's rows the last one wins. A row counts as done when Redis has acknowledged it, or the reject file has it.
 *
 * Resolves to where it stands when all is done or `signal` was aborted. Rejects when the rows cannot be read any
 * further, the API refuses to answer, or Redis refuses for good; where it stood is saved before.
 */
export async function importRows(parts: ImportParts): Promise<Checkpoint> {
  const { rows, rules, checks, gate, adder, rejects, isAlone, save, onProgress, signal } = parts;
  let checkpoint = parts.from;
  let savedAtMs = performance.now();
  let isSaved = true;

  const saveNow = async (): Promise<void> => {
    await save(checkpoint);
    savedAtMs = performance.now();
    isSaved = true;
  };

  const ask = async (batch: Batch): Promise<Asked> => {
    const presence =
      checks === undefined || batch.userIds.length === 0
        ? new Map<string, Presence>()
        : await checks.ask(batch.userIds);
    return { batch, presence, askedAtMs: performance.now() };
  };

  const addAll = async (users: readonly UserInput[]): Promise<void> => {
    for (let from = 0; from < users.length; ) {
      const rest = users.slice(from);
      const room = await gate.room(rest.length, (at) => isAlone(rest[at] as UserInput));
      await adder.add(rest.slice(0, room));
      from += room;
    }
  };

  const finish = async (asked: Asked): Promise<void> => {
    let { presence } = asked;
    if (checks !== undefined && performance.now() - asked.askedAtMs > STALE_MS) {
      const missing = [...presence].filter(([, { kind }]) => kind === 'missing').map(([userId]) => userId);
      if (missing.length > 0) presence = new Map([...presence, ...(await checks.ask(missing))]);
    }
    const sorted = sort(asked.batch, checks === undefined ? undefined : presence);
    await addAll(sorted.add);
    await rejects.add(sorted.rejects);
    const { counts } = checkpoint;
    checkpoint = {
      ...checkpoint,
      rows: checkpoint.rows + asked.batch.judged.length,
      rejectBytes: rejects.bytes,
      counts: {
        rows: counts.rows + asked.batch.judged.length,
        rejected: counts.rejected + sorted.rejects.length - sorted.unasked,
        there: counts.there + sorted.there,
        unasked: counts.unasked + sorted.unasked,
        added: counts.added + sorted.add.length,
      },
    };
    isSaved = false;
    onProgress(checkpoint);
    if (performance.now() - savedAtMs >= SAVE_EVERY_MS) await saveNow();
  };

  try {
    const read = batches(rows, rules, parts.from.rows, signal);
    for await (const asked of ordered(read, BATCHES_AT_ONCE, ask)) {
      if (signal.aborted) break;
      await finish(asked);
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

interface Sorted {
  readonly add: readonly UserInput[];
  readonly rejects: readonly Reject[];
  readonly there: number;
  readonly unasked: number;
}

/** Who of a batch is added. Without `presence`: everybody whose row holds up. */
function sort({ judged }: Batch, presence: ReadonlyMap<string, Presence> | undefined): Sorted {
  const add: UserInput[] = [];
  const rejects: Reject[] = [];
  let there = 0;
  let unasked = 0;
  for (const one of judged) {
    if (!one.ok) {
      rejects.push(one);
      continue;
    }
    const found = presence?.get(one.user.userId);
    if (presence === undefined || found?.kind === 'missing') add.push(one.user);
    else if (found?.kind === 'imported') there++;
    else {
      unasked++;
      const why = found === undefined ? '' : `: ${found.errorCode} ${found.errorInfo}`;
      rejects.push({ row: one.row, reason: `account_check does not say whether the account is there${why}` });
    }
  }
  return { add, rejects, there, unasked };
}
