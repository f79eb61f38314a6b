import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { shownAddress } from '../../config/database-url.ts';
import { requireForRedis, requireForWorker } from '../../config/requirements.ts';
import { within } from '../../lifecycle/wait.ts';
import type { Backfill } from '../../tasks/backfill/connect.ts';
import {
  type Checkpoint,
  type ImportCounts,
  identityOf,
  identityOfQuery,
  newCheckpoint,
  RejectFile,
  readCheckpoint,
  writeCheckpoint,
} from '../../tasks/backfill/import-files.ts';
import { type EndedImport, noteImport } from '../../tasks/backfill/import-history.ts';
import { importRows } from '../../tasks/backfill/import-rows.ts';
import {
  awaitTally,
  openTally,
  readTally,
  type Tally,
  underWay,
} from '../../tasks/backfill/stream-writer.ts';
import type { OddFinding } from '../../tasks/rows/odd-rows.ts';
import { loadForCommand } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { countedLines, duration, grouped, type NamedCount, printResult } from '../format.ts';
import {
  databaseOf,
  openedText,
  type RowsFlags,
  type RowsRun,
  rejectShape,
  rulesOf,
  summaryText,
  withRows,
} from './rows-input.ts';
import { withBackfill } from './with-backfill.ts';

const HISTORY_MS = 2_000;

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

/** One import: what it works with, where it writes, and how far it has come. */
interface ImportJob {
  readonly file: string;
  readonly flags: ImportFlags;
  readonly config: Config;
  readonly run: RowsRun;
  readonly rejects: RejectFile;
  /** Undefined for standard input. */
  readonly checkpointFile: string | undefined;
  readonly from: Checkpoint;
  /** The checkpoint of the rows that are done. */
  at: Checkpoint;
}

/** Resolves to the exit code. */
export async function runImport(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  // In hosted mode registering an existing account changes nothing, so no account needs to be asked for.
  const withChecks = !(flags.update || config.api.form === 'hosted');
  if (withChecks) requireForWorker(config);
  else requireForRedis(config);
  const advice = ' Then run the same command again, or import without asking: --update.';
  return withRows({ config, verb: 'import', file, advice }, flags, async (run) => {
    const { rows, progress, signal } = run;
    const rejectFile =
      flags.rejects ??
      `${file === '-' || flags.query !== undefined ? 'imsync-import' : file}.rejects.${rows.format}`;
    const checkpointFile =
      file === '-'
        ? undefined
        : (flags.checkpoint ?? `${flags.query === undefined ? file : 'imsync-import'}.imsync-checkpoint`);
    const from = await firstCheckpoint(file, flags, config, checkpointFile);
    const startedMs = performance.now();
    signal.addEventListener('abort', () =>
      progress.say('Stopping after the current step. A second Ctrl-C stops at once.'),
    );
    if (from.rejectBytes === 0) await rm(rejectFile, { force: true });
    const rejects = new RejectFile(rejectFile, rejectShape(rows), from.rejectBytes);
    const job: ImportJob = { file, flags, config, run, rejects, checkpointFile, from, at: from };
    let complete = false;
    try {
      for (const text of greetings(job)) progress.say(text);
      const tally = await withBackfill(config, withChecks, run, (backfill) => addAndWait(job, backfill));
      complete = !signal.aborted;
      if (complete && checkpointFile !== undefined) await rm(checkpointFile, { force: true });
      const summary: ImportSummary = {
        file,
        complete,
        counts: job.at.counts,
        rejectFile: rejects.bytes > 0 ? rejectFile : undefined,
        warnings: run.watched.warnings(),
        odd: run.odd.findings(),
        outcome: tally && { ...tally, underWay: underWay(tally) },
        seconds: (performance.now() - startedMs) / 1_000,
      };
      progress.end();
      printResult(flags.json, summary, summaryText(summary, summaryLines(summary)));
      const { counts, outcome } = summary;
      const bad = counts.rejected + counts.unasked + (outcome?.deadLettered ?? 0) + (outcome?.underWay ?? 0);
      return bad > 0 ? EXIT.failed : EXIT.done;
    } finally {
      progress.end();
      if (!complete && (signal.aborted || job.at.rows > from.rows))
        process.stderr.write(`${resumeText(file, job.at.rows)}\n`);
      await rejects.close();
    }
  });
}

/** Where the import begins or continues. Throws CheckpointError. */
async function firstCheckpoint(
  file: string,
  flags: ImportFlags,
  config: Config,
  checkpointFile: string | undefined,
): Promise<Checkpoint> {
  const { map, format, delimiter, encoding, header, quotes, allowMangled, allowOddIds, update, skipRows } =
    flags;
  if (checkpointFile === undefined) return { ...newCheckpoint(''), rows: skipRows };
  const reading = [map, format, delimiter, encoding, header, quotes, allowMangled, allowOddIds, skipRows];
  const options = [config.app.sdkAppId, update === true, ...reading];
  const { query, key, databaseUrl } = flags;
  const identity =
    query === undefined
      ? await identityOf(file, options)
      : identityOfQuery(shownAddress(databaseOf(config, databaseUrl)), query, [key, ...options]);
  const found = flags.restart ? undefined : await readCheckpoint(checkpointFile, identity);
  return found ?? { ...newCheckpoint(identity), rows: skipRows };
}

/** Adds the rows; with --wait it then waits until their events have ended. Resolves to how they ended. */
async function addAndWait(
  job: ImportJob,
  { redis, keys, checks, add }: Backfill,
): Promise<Tally | undefined> {
  const { flags, config, rejects, from, checkpointFile } = job;
  const { progress, watched, odd, signal } = job.run;
  await openTally(redis, keys, from.tally);
  const noteEnd = async (state: EndedImport['state']): Promise<void> => {
    const { counts, tally } = job.at;
    const noted = noteImport(redis, keys, { file: basename(job.file), state, counts, tally });
    // The import itself needs no history: it ends as it would without one.
    await within(noted, HISTORY_MS, 'Redis does not answer').catch(({ message }: Error) =>
      progress.say(`The end of this import could not be recorded, and is told in no notice: ${message}`),
    );
  };
  job.at = await importRows({
    rows: watched.rows(from.key === undefined ? undefined : { key: from.key, rows: from.rows }),
    rules: rulesOf(config, flags, odd),
    checks,
    add: (users) => add(users, from.tally),
    rejects,
    from,
    save: async (checkpoint) => {
      if (checkpointFile !== undefined) await writeCheckpoint(checkpointFile, checkpoint);
    },
    onProgress: (checkpoint) => {
      job.at = checkpoint;
      progress.show(checkpoint.rows, progressWords(checkpoint.counts));
    },
    signal,
  }).catch(async (error: unknown) => {
    await noteEnd('failed');
    throw error;
  });
  await noteEnd(signal.aborted ? 'interrupted' : 'done');
  if (!flags.wait) return undefined;
  if (signal.aborted) return readTally(redis, keys, from.tally);
  progress.say('All rows are added. Waiting for the workers to import them.');
  const onLook = (tally: Tally): void => {
    const ended = tally.imported + tally.superseded + tally.deadLettered;
    progress.show(job.at.rows, `${grouped(ended)} of ${grouped(tally.accepted)} events have ended`);
  };
  return awaitTally({ redis, keys, tally: from.tally, signal, onLook });
}

/** What is said before the first row. */
function greetings({ file, flags, config, run, from }: ImportJob): string[] {
  const found = [openedText(run.rows)];
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

/** The result of an import. `--json` prints it as it is. */
export interface ImportSummary {
  readonly file: string;
  /** False when the import was interrupted. */
  readonly complete: boolean;
  readonly counts: ImportCounts;
  /** Undefined when no row was rejected. */
  readonly rejectFile: string | undefined;
  readonly warnings: readonly string[];
  /** What looked odd and was taken all the same, in the rows of this run. */
  readonly odd: readonly OddFinding[];
  /** How the events of all runs of this import ended; undefined without --wait. */
  readonly outcome: (Tally & { readonly underWay: number }) | undefined;
  readonly seconds: number;
}

function summaryLines({ complete, counts, rejectFile, outcome, seconds }: ImportSummary): string[] {
  const rows: NamedCount[] = [
    ['rows', counts.rows, complete ? '' : 'so far'],
    ['added', counts.added, outcome === undefined && counts.added > 0 ? 'the workers import them' : ''],
    ['existing', counts.there, counts.there > 0 ? 'not changed; --update overwrites their profiles' : ''],
    ['rejected', counts.rejected, counts.rejected > 0 ? `in ${rejectFile}` : ''],
  ];
  if (counts.unasked > 0)
    rows.push(['not checked', counts.unasked, `the API does not say whether they exist; in ${rejectFile}`]);
  if (outcome !== undefined) {
    const more = outcome.accepted - counts.added;
    const twice = more > 0 ? `${grouped(more)} of them added twice, because the import was killed` : '';
    rows.push(
      ['events', outcome.accepted, twice],
      ['  imported', outcome.imported, ''],
      ['  superseded', outcome.superseded, outcome.superseded > 0 ? 'by a newer event of the user' : ''],
      ['  dead letters', outcome.deadLettered, reasonsText(outcome)],
    );
    if (outcome.underWay > 0)
      rows.push(['  not counted', outcome.underWay, complete ? UNCOUNTED : 'not ended yet']);
  }
  return [...countedLines(rows), `It took ${duration(seconds)}.`];
}

const UNCOUNTED =
  'ended by workers of a version that does not count them; imsync verify shows which accounts exist';

function reasonsText({ deadByReason, deadLettered }: Tally): string {
  if (deadLettered === 0) return '';
  const parts = Object.entries(deadByReason).map(([reason, count]) => `${count} ${reason}`);
  return `${parts.join(', ')}; see imsync dlq list`;
}

/** What happened to the rows so far. The progress line shows it. */
function progressWords(counts: ImportCounts): string {
  const bad = counts.rejected + counts.unasked;
  const parts = [`${grouped(counts.added)} added`];
  if (counts.there > 0) parts.push(`${grouped(counts.there)} existing`);
  if (bad > 0) parts.push(`${grouped(bad)} rejected`);
  return parts.join(', ');
}
