import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForRedis, requireForWorker } from '../../config/requirements.ts';
import { type Backfill, openBackfill } from '../../tasks/backfill/connect.ts';
import {
  type Checkpoint,
  identityOf,
  newCheckpoint,
  RejectFile,
  readCheckpoint,
  writeCheckpoint,
} from '../../tasks/backfill/import-files.ts';
import { importRows } from '../../tasks/backfill/import-rows.ts';
import { awaitTally, openTally, readTally, type Tally } from '../../tasks/backfill/stream-writer.ts';
import type { OpenRows } from '../../tasks/rows/open-rows.ts';
import { CliError, EXIT } from '../fail.ts';
import { grouped } from '../format.ts';
import { loadForCommand, readTextFile } from '../load-config.ts';
import { type Interruption, onInterrupt } from '../terminal.ts';
import { notReached } from '../with-redis.ts';
import {
  openedRows,
  openedText,
  type RowsFlags,
  rejectShape,
  rowsError,
  rulesOf,
  type WatchedRows,
  watchRows,
} from './rows-input.ts';
import { type RowsProgress, startRowsProgress } from './rows-progress.ts';
import { createStallReporter, type StallReporter } from './stall-reporter.ts';
import { type ImportSummary, outcomeOf, progressWords, summaryText } from './text.ts';

export interface ImportFlags extends RowsFlags {
  readonly update?: boolean;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly rejects?: string;
  readonly checkpoint?: string;
  readonly restart?: boolean;
  readonly skipRows: number;
  readonly json?: boolean;
}

/** Throws a CliError when the arguments contradict each other. */
export function checkImport(file: string, flags: ImportFlags): void {
  if (file === '-' && flags.checkpoint !== undefined)
    throw new CliError(
      EXIT.usage,
      'Standard input cannot be read again, so it can have no checkpoint. To continue, give the same input and --skip-rows.',
    );
  for (const own of [flags.rejects, flags.checkpoint])
    if (own !== undefined && own === file)
      throw new CliError(EXIT.usage, `${own} is the file to be imported: name another file.`);
}

/** One import: what it reads, where it writes, and where it begins. */
interface ImportJob {
  readonly file: string;
  readonly flags: ImportFlags;
  readonly config: Config;
  readonly rows: OpenRows;
  readonly rejectFile: string;
  /** Undefined for standard input. */
  readonly checkpointFile: string | undefined;
  readonly from: Checkpoint;
  /** Whether account_check is asked which accounts exist. */
  readonly withChecks: boolean;
}

/** What an import prints to while it runs, and what watches it. */
interface ImportView {
  readonly progress: RowsProgress;
  readonly stalls: StallReporter;
  readonly watched: WatchedRows;
  readonly interruption: Interruption;
  /** The checkpoint of the rows that are done. */
  at: Checkpoint;
}

/** Imports a file. Resolves to the exit code. */
export async function runImport(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  // In hosted mode registering an existing account changes nothing, so no account needs to be asked for.
  const withChecks = !(flags.update || config.api.form === 'hosted');
  if (withChecks) requireForWorker(config);
  else requireForRedis(config);
  const rows = await openedRows(file, flags);
  try {
    const rejectFile = flags.rejects ?? `${file === '-' ? 'imsync-import' : file}.rejects.${rows.format}`;
    const checkpointFile = file === '-' ? undefined : (flags.checkpoint ?? `${file}.imsync-checkpoint`);
    const from = await firstCheckpoint(file, flags, config, checkpointFile);
    return await work({ file, flags, config, rows, rejectFile, checkpointFile, from, withChecks });
  } catch (error) {
    throw rowsError(error, ' Then run the same command again, or import without asking: --update.');
  } finally {
    rows.close();
  }
}

/** Where the import begins or continues. Throws CheckpointError. */
async function firstCheckpoint(
  file: string,
  flags: ImportFlags,
  config: Config,
  checkpointFile: string | undefined,
): Promise<Checkpoint> {
  const { map, format, delimiter, encoding, header, quotes, allowMangled, update, skipRows } = flags;
  if (checkpointFile === undefined) return { ...newCheckpoint(''), rows: skipRows };
  const reading = [map, format, delimiter, encoding, header, quotes, allowMangled, skipRows];
  const identity = await identityOf(file, [config.app.sdkAppId, update === true, ...reading]);
  const found = flags.restart ? undefined : await readCheckpoint(checkpointFile, identity);
  return found ?? { ...newCheckpoint(identity), rows: skipRows };
}

async function work(job: ImportJob): Promise<number> {
  const { file, flags, config, rows, from, withChecks } = job;
  const startedMs = performance.now();
  const progress = startRowsProgress('import');
  const stalls = createStallReporter((text) => progress.say(text));
  let backfill: Backfill | undefined;
  const interruption = onInterrupt(() => {
    progress.say('Stopping after the current step. A second Ctrl-C stops at once.');
    rows.close();
    backfill?.checks?.close();
  });
  const { signal } = interruption;
  const view: ImportView = { progress, stalls, watched: watchRows(rows), interruption, at: from };
  if (from.rejectBytes === 0) await rm(job.rejectFile, { force: true });
  const rejects = new RejectFile(job.rejectFile, rejectShape(rows), from.rejectBytes);
  try {
    for (const text of greetings(job)) progress.say(text);
    const { report } = stalls;
    backfill = await openBackfill({ config, readFile: readTextFile, withChecks, signal, report }).catch(
      (error: Error) => {
        throw notReached(config, error);
      },
    );
    const outcome = await addAndWait(job, view, backfill, rejects);
    const complete = !signal.aborted;
    if (complete && job.checkpointFile !== undefined) await rm(job.checkpointFile, { force: true });
    const summary: ImportSummary = {
      file,
      complete,
      counts: view.at.counts,
      rejectFile: rejects.bytes > 0 ? job.rejectFile : undefined,
      warnings: view.watched.warnings(),
      outcome: outcome && outcomeOf(outcome),
      seconds: (performance.now() - startedMs) / 1_000,
    };
    progress.end();
    process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    if (!complete) process.stderr.write(`${resumeText(file, view.at.rows)}\n`);
    return interruption.exitCode ?? exitCodeOf(summary);
  } catch (error) {
    progress.end();
    if (view.at.rows > from.rows) process.stderr.write(`${resumeText(file, view.at.rows)}\n`);
    throw error;
  } finally {
    stalls.close();
    interruption.release();
    await rejects.close();
    await backfill?.close();
  }
}

/** Adds the rows; with --wait it then waits until their events have ended. Resolves to how they ended. */
async function addAndWait(
  { flags, config, from, checkpointFile }: ImportJob,
  view: ImportView,
  { redis, keys, hold, checks, add }: Backfill,
  rejects: RejectFile,
): Promise<Tally | undefined> {
  const { progress, stalls, watched } = view;
  const { signal } = view.interruption;
  await openTally(redis, keys, from.tally);
  let ended = 0;
  stalls.watch(hold, () => view.at.counts.rows + ended);
  view.at = await importRows({
    rows: watched.rows(),
    rules: rulesOf(config, flags),
    checks,
    add: (users) => add(users, from.tally),
    rejects,
    from,
    save: async (checkpoint) => {
      if (checkpointFile !== undefined) await writeCheckpoint(checkpointFile, checkpoint);
    },
    onProgress: (checkpoint) => {
      view.at = checkpoint;
      const words = progressWords(checkpoint.counts, stalls.words);
      progress.show({ rows: checkpoint.rows, estimatedRows: watched.estimatedRows(), words });
    },
    signal,
  });
  if (!flags.wait) return undefined;
  if (signal.aborted) return readTally(redis, keys, from.tally);
  progress.say('All rows are added. Waiting for the workers to import them.');
  const onLook = (tally: Tally): void => {
    ended = tally.imported + tally.superseded + tally.deadLettered;
    const words = `${grouped(ended)} of ${grouped(tally.accepted)} events have ended`;
    progress.show({ rows: view.at.rows, estimatedRows: view.at.rows, words });
  };
  return awaitTally({ redis, keys, tally: from.tally, signal, onLook });
}

/** What is said before the first row. */
function greetings({ file, flags, config, rows, from }: ImportJob): string[] {
  const found = [openedText(rows)];
  if (config.api.form === 'hosted')
    found.push('Hosted mode: no account is asked for, since registering an account twice changes nothing.');
  if (from.rows > 0) found.push(`Continuing after row ${grouped(from.rows)}.`);
  if (file === '-' && flags.skipRows === 0)
    found.push('Standard input cannot be read again. If the import is stopped, continue with --skip-rows.');
  return found;
}

function resumeText(file: string, rows: number): string {
  const how =
    file === '-' ? `give the same input again, with --skip-rows ${rows}` : 'run the same command again';
  return `Stopped after row ${rows}. To continue: ${how}.`;
}

function exitCodeOf({ counts, outcome }: ImportSummary): number {
  const bad = counts.rejected + counts.unasked + (outcome?.deadLettered ?? 0) + (outcome?.underWay ?? 0);
  return bad > 0 ? EXIT.failed : EXIT.done;
}
