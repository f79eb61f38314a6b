import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForRedis, requireForWorker } from '../../config/requirements.ts';
import { type Checkpoint, removeCheckpoint, writeCheckpoint } from '../../tasks/backfill/checkpoint.ts';
import { type Backfill, needsOwnCall, openBackfill } from '../../tasks/backfill/connect.ts';
import { importRows } from '../../tasks/backfill/import-rows.ts';
import { openRejectFile } from '../../tasks/backfill/reject-file.ts';
import { awaitTally, openTally, readTally, type Tally } from '../../tasks/backfill/tally.ts';
import type { OpenRows } from '../../tasks/rows/open-rows.ts';
import { EXIT } from '../fail.ts';
import { onInterrupt } from '../interrupt.ts';
import { loadForCommand, readTextFile } from '../load-config.ts';
import { notReached } from '../with-redis.ts';
import { beginning, type ImportFlags, type Places, placesOf, resumeText, rulesOf } from './flags.ts';
import { openedRows, rowsError } from './rows-errors.ts';
import { createRowsHerald } from './rows-log.ts';
import { grouped, startRowsProgress } from './rows-progress.ts';
import { type ImportSummary, openedText, outcomeOf, progressWords, summaryText } from './text.ts';
import { watchRows } from './watched-rows.ts';

/** Imports a file. Resolves to the exit code. */
export async function runImport(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  // Registering an account in hosted mode changes none that is there, so that nobody needs to be asked for.
  const withChecks = !(flags.update || config.api.form === 'hosted');
  if (withChecks) requireForWorker(config);
  else requireForRedis(config);
  const rows = await openedRows(file, flags);
  try {
    const places = placesOf(file, flags, rows.format);
    const from = await beginning(file, flags, config, places);
    return await work({ file, flags, config, rows, places, from, withChecks });
  } catch (error) {
    throw rowsError(error, ', and run the same command again; or import without asking: --update');
  } finally {
    rows.close();
  }
}

async function work(import_: {
  readonly file: string;
  readonly flags: ImportFlags;
  readonly config: Config;
  readonly rows: OpenRows;
  readonly places: Places;
  readonly from: Checkpoint;
  readonly withChecks: boolean;
}): Promise<number> {
  const { file, flags, config, rows, places, from, withChecks } = import_;
  const startedMs = performance.now();
  const progress = startRowsProgress('import');
  const herald = createRowsHerald((text) => progress.say(text));
  const watched = watchRows(rows);
  let backfill: Backfill | undefined;
  let at = from;
  const interruption = onInterrupt(() => {
    progress.say('Stopping: the step at hand is finished. Ctrl-C again stops at once.');
    rows.close();
    backfill?.checks?.close();
  });
  const { signal } = interruption;
  const secret = rows.format === 'csv' ? rows.columns.get('password') : 'password';
  if (from.rejectBytes === 0) await rm(places.rejects, { force: true });
  const shape = { format: rows.format, header: rows.header, secret };
  const rejects = openRejectFile(places.rejects, shape, from.rejectBytes);
  try {
    for (const text of greetings(file, flags, config, rows, from)) progress.say(text);
    const { report } = herald;
    const opened = await openBackfill({ config, readFile: readTextFile, withChecks, signal, report }).catch(
      (error: Error) => {
        throw notReached(config, error);
      },
    );
    backfill = opened;
    const { redis, keys } = opened;
    await openTally(redis, keys, from.tally);
    let ended = 0;
    herald.watch(opened.hold, () => at.counts.rows + ended);
    at = await importRows({
      rows: watched.rows(),
      rules: rulesOf(config, flags),
      checks: opened.checks,
      limit: opened.limit,
      writer: opened.writer(from.tally),
      rejects,
      isAlone: needsOwnCall(config.api.form),
      from,
      save: async (checkpoint) => {
        if (places.checkpoint !== undefined) await writeCheckpoint(places.checkpoint, checkpoint);
      },
      onProgress: (checkpoint) => {
        at = checkpoint;
        const words = progressWords(at.counts, herald.words);
        progress.show({ rows: at.rows, estimatedRows: watched.estimatedRows(), words });
      },
      signal,
    });
    let outcome: Tally | undefined;
    if (flags.wait && !signal.aborted) {
      progress.say('All rows are added. Waiting for the workers to import them.');
      const onLook = (tally: Tally): void => {
        ended = tally.imported + tally.superseded + tally.deadLettered;
        const words = `${grouped(ended)} of ${grouped(tally.accepted)} events have ended`;
        progress.show({ rows: at.rows, estimatedRows: at.rows, words });
      };
      outcome = await awaitTally({ redis, keys, tally: from.tally, signal, onLook });
    } else if (flags.wait) outcome = await readTally(redis, keys, from.tally);
    const complete = !signal.aborted;
    if (complete && places.checkpoint !== undefined) await removeCheckpoint(places.checkpoint);
    const summary: ImportSummary = {
      file,
      complete,
      counts: at.counts,
      rejectFile: rejects.bytes > 0 ? rejects.path : undefined,
      warnings: watched.warnings(),
      outcome: outcome && outcomeOf(outcome),
      seconds: (performance.now() - startedMs) / 1_000,
    };
    progress.end();
    process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    if (!complete) process.stderr.write(`${resumeText(file, at.rows)}\n`);
    return interruption.exitCode ?? exitCodeOf(summary);
  } catch (error) {
    progress.end();
    if (at.rows > from.rows) process.stderr.write(`${resumeText(file, at.rows)}\n`);
    throw error;
  } finally {
    herald.close();
    interruption.release();
    await rejects.close();
    await backfill?.close();
  }
}

function greetings(
  file: string,
  flags: ImportFlags,
  config: Config,
  rows: OpenRows,
  from: Checkpoint,
): string[] {
  const found = [openedText(rows)];
  if (config.api.form === 'hosted')
    found.push('Hosted mode: nobody is asked who is there; registering an account twice changes nothing.');
  if (from.rows > 0) found.push(`Going on after row ${grouped(from.rows)}.`);
  if (file === '-' && flags.skipRows === 0)
    found.push('Standard input cannot be read again: if this is stopped, go on with --skip-rows.');
  return found;
}

function exitCodeOf({ counts, outcome }: ImportSummary): number {
  const bad = counts.rejected + counts.unasked + (outcome?.deadLettered ?? 0) + (outcome?.underWay ?? 0);
  return bad > 0 ? EXIT.failed : EXIT.done;
}
