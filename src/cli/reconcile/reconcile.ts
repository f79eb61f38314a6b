import { rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { shownAddress } from '../../config/database-url.ts';
import { requireForWorker } from '../../config/requirements.ts';
import { quoteColumn, quoteTable } from '../../database/database.ts';
import { eventRulesOf } from '../../event/event.ts';
import { identityOfQuery, RejectFile } from '../../tasks/backfill/import-files.ts';
import type { RowRules } from '../../tasks/backfill/validate-rows.ts';
import { reconcile } from '../../tasks/reconcile/reconcile.ts';
import {
  NO_COUNTS,
  type ReconcileCounts,
  readReconcile,
  saveDue,
} from '../../tasks/reconcile/reconcile-state.ts';
import { type Mapping, readMapping } from '../../tasks/rows/columns.ts';
import type { QueryRows } from '../../tasks/rows/query-rows.ts';
import { UnreadableRowsError } from '../../tasks/rows/read-text.ts';
import { loadForCommand, withRedis } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { countedLines, grouped, isoTime, type NamedCount, printResult } from '../format.ts';
import { databaseOf, openQuery, rejectShape } from '../import/rows-input.ts';
import { withBackfill } from '../import/with-backfill.ts';
import { numberFrom, optionOf } from '../option.ts';
import { startRowsProgress } from '../progress.ts';
import { addUserColumns, type UserColumnFlags } from '../relay/user-columns.ts';
import { onInterrupt } from '../terminal.ts';
import { repeatRuns } from './repeat.ts';
import { readInterval, readTimeOfDay, scheduleProblem } from './schedule.ts';

interface ReconcileFlags extends UserColumnFlags {
  readonly table?: string;
  readonly query?: string;
  readonly key?: string;
  readonly map?: Mapping;
  readonly databaseUrl?: string;
  readonly enqueueMissing?: boolean;
  readonly missingFile?: string;
  readonly grace: number;
  readonly restart?: boolean;
  readonly every?: number;
  readonly at?: number;
  readonly json?: boolean;
}

const HELP = `
Walks the table of users in the database, and asks the API with account_check who has an account: a hundred users per
call, within the quota of that call, so that imports are not slowed down. Who has none may have an event in a call or
dead letters. All others are looked at again after --grace seconds, since signups are on their way at any time. Those
who are still without an account are missing: they are counted, listed with --missing-file, or added with
--enqueue-missing, with the profile that the table has at that moment.

The table is read page by page in the order of the user ID, which must be unique and should have an index. A run that was
stopped goes on where it was (--restart begins from the start). The result stands in imsync status and in the metrics of workers.

--every repeats it until SIGTERM, --at says at which time of day, on this machine's clock and zone (TZ). The last run stands in
Redis: after a restart a run that was stopped goes on, one that was missed is made at once, and none is made twice. A run
that fails goes on after ten minutes. Let one process repeat it.

Exit codes: 0 nobody is missing (or all of them are added); 1 some are, or could not be checked; 2 usage or
configuration; 3 Redis, the database or the API is out of reach; 130 stopped by Ctrl-C.

Examples:
  imsync reconcile --table users --nick-column name
  imsync reconcile --query 'SELECT id, name FROM users WHERE deleted_at IS NULL' --enqueue-missing
  imsync reconcile --table users --enqueue-missing --every 24h --at 03:00`;

const INTERVAL = { fromText: readInterval, allowed: 'a number with m, h or d, such as 24h' };
const TIME = { fromText: readTimeOfDay, allowed: 'a time of day such as 03:00' };

export function reconcileCommand(): Command {
  const command = new Command('reconcile')
    .description('find users of the database who have no account')
    .option('--table <table>', 'the table of users')
    .option('--query <select>', 'a SELECT that names the users, in place of a table');
  return addUserColumns(command)
    .option('--map <field=column,…>', 'with --query: which column holds which field', (text) =>
      readMapping(text),
    )
    .option('--key <column>', 'with --query: a unique column to page by (default: that of the user ID)')
    .option('--database-url <url>', 'the database, without a password (default: IMSYNC_DATABASE_URL)')
    .option('--enqueue-missing', 'add the missing users to the intake')
    .option('--missing-file <file>', 'write the missing users to this file, which imsync import can read')
    .option('--grace <seconds>', 'time between the two looks', numberFrom(0, 3_600), 10)
    .option('--restart', 'begin with the first user')
    .option('--every <interval>', 'repeat it: 24h, 7d, 30m', optionOf(INTERVAL))
    .option('--at <time>', 'with --every: at this time of day', optionOf(TIME))
    .option('--json', 'print each result as one JSON object')
    .addHelpText('after', HELP)
    .action(async (flags: ReconcileFlags, self: Command) => {
      const { config } = loadForCommand(self);
      const query = queryOf(config, flags);
      requireForWorker(config);
      const interruption = onInterrupt();
      try {
        process.exitCode =
          flags.every === undefined
            ? await runOnce(config, query, flags, interruption)
            : await runEvery(self, config, query, { ...flags, every: flags.every }, interruption);
      } finally {
        interruption.release();
      }
    });
}

/** The SELECT of the flags. Throws a CliError when they contradict each other. */
function queryOf(config: Config, flags: ReconcileFlags): string {
  const { table, query, idColumn = 'id', nickColumn, faceUrlColumn, databaseUrl } = flags;
  if (config.api.form === 'hosted')
    throw new CliError(
      EXIT.usage,
      'reconcile needs account_check, which hosted mode (IMSYNC_API) does not have.',
    );
  if ((table === undefined) === (query === undefined))
    throw new CliError(EXIT.usage, 'Give either --table or --query. (see --help)');
  if (flags.at !== undefined && flags.every === undefined)
    throw new CliError(EXIT.usage, '--at says when it is repeated: add --every, such as --every 24h.');
  const problem =
    flags.every === undefined ? undefined : scheduleProblem({ everyMs: flags.every, atMinutes: flags.at });
  if (problem !== undefined) throw new CliError(EXIT.usage, problem);
  if (query !== undefined) return query;
  const { dialect } = databaseOf(config, databaseUrl);
  const quote = (name: string): string => quoteColumn(dialect, name);
  const columns = [
    [idColumn, 'userId'],
    [nickColumn, 'nick'],
    [faceUrlColumn, 'faceUrl'],
  ].flatMap(([name, field]) => (name && field ? [`${quote(name)} AS ${quote(field)}`] : []));
  return `SELECT ${columns.join(', ')} FROM ${quoteTable(dialect, table ?? '')}`;
}

type Interruption = ReturnType<typeof onInterrupt>;

/** Identifies what is compared and what is done about it: a run with another identity begins from the start. */
function identityOf(config: Config, query: string, flags: ReconcileFlags): string {
  const { key, map, enqueueMissing = false, missingFile } = flags;
  const address = shownAddress(databaseOf(config, flags.databaseUrl));
  return identityOfQuery(address, query, [key, map, enqueueMissing, missingFile]);
}

/** Opens the query. Throws a CliError. */
async function openUsers(config: Config, query: string, flags: ReconcileFlags): Promise<QueryRows> {
  return openQuery(config, query, flags).catch((error: Error) => {
    throw error instanceof UnreadableRowsError ? new CliError(EXIT.usage, error.message) : error;
  });
}

/** Resolves to the exit code. */
async function runOnce(
  config: Config,
  query: string,
  flags: ReconcileFlags,
  interruption: Interruption,
): Promise<number> {
  const source = await openUsers(config, query, flags);
  const { signal } = interruption;
  const stop = (): void => source.close();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  const progress = startRowsProgress('reconcile', () => undefined);
  const { missingFile, enqueueMissing = false } = flags;
  let missingRows: RejectFile | undefined;
  try {
    const result = await withBackfill(config, true, { progress, signal }, async (backfill) => {
      const { redis, keys, checks, add } = backfill;
      if (checks === undefined)
        throw new RangeError('reconcile runs without account_check: a bug, please report it');
      const identity = identityOf(config, query, flags);
      const { open } = await readReconcile({ redis, keys });
      const isSame = open?.identity === identity && !flags.restart;
      const from = isSame ? open : { identity, startedAt: Date.now(), counts: NO_COUNTS };
      if (isSame)
        progress.say(
          `Continuing the run of ${isoTime(open.startedAt)} after ${grouped(open.counts.rows)} users.`,
        );
      if (missingFile !== undefined) missingRows = await openList(missingFile, source, isSame);
      return reconcile({
        ...{ redis, keys, checks, from, signal, source },
        add: enqueueMissing ? (users) => add(users) : undefined,
        rules: rulesOf(config),
        onMissing: async (rows) => missingRows?.add(rows.map(({ row }) => ({ row, reason: 'missing' }))),
        onProgress: (soFar) => progress.show(soFar.rows, `${grouped(soFar.missing)} without an account`),
        graceMs: flags.grace * 1_000,
        nowMs: Date.now,
      });
    });
    progress.end();
    const { counts, isEnd } = result;
    printResult(
      flags.json,
      { complete: isEnd, counts, missingFile },
      `${summaryLines(counts, flags, isEnd).join('\n')}\n`,
    );
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    return counts.missing - counts.enqueued + counts.unasked > 0 ? EXIT.failed : EXIT.done;
  } catch (error) {
    // A reading that a signal has ended fails: that is no fault.
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw error;
  } finally {
    progress.end();
    signal.removeEventListener('abort', stop);
    await missingRows?.close();
    source.close();
  }
}

/** The list of the missing. A run that goes on adds to it; what it wrote after its last saved place stands there twice. */
async function openList(file: string, source: QueryRows, isContinued: boolean): Promise<RejectFile> {
  if (!isContinued) await rm(file, { force: true });
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  return new RejectFile(file, rejectShape(source), size);
}

/** Runs again and again until a signal comes. */
async function runEvery(
  command: Command,
  config: Config,
  query: string,
  flags: ReconcileFlags & { readonly every: number },
  interruption: Interruption,
): Promise<number> {
  // What is wrong with the query or the database's address is better said now than at night.
  (await openUsers(config, query, flags)).close();
  const { signal } = interruption;
  const schedule = { everyMs: flags.every, atMinutes: flags.at };
  const identity = identityOf(config, query, flags);
  const scheduleIdentity = `${identity} ${flags.every} ${flags.at ?? ''}`;
  let isRestarted = flags.restart ?? false;
  await repeatRuns({
    ...{ schedule, signal },
    earlier: () =>
      withRedis(command, async (app) => {
        const { open, last, due } = await readReconcile(app);
        return {
          isOpen: open?.identity === identity || isRestarted,
          last: last?.identity === identity ? last : undefined,
          dueAt: due?.identity === scheduleIdentity ? due.at : undefined,
        };
      }),
    note: (at) => withRedis(command, (app) => saveDue(app, { identity: scheduleIdentity, at })),
    async run() {
      await runOnce(config, query, { ...flags, restart: isRestarted }, interruption);
      isRestarted = false;
    },
    say: (line) => process.stderr.write(`${line}\n`),
    nowMs: Date.now,
    waitUntil: (atMs) => waitUntilTime(atMs, signal),
  });
  return EXIT.done;
}

/** The clock may be set meanwhile, and a timer may not be that long: it is looked at each minute. */
async function waitUntilTime(atMs: number, signal: AbortSignal): Promise<void> {
  while (Date.now() < atMs && !signal.aborted)
    await sleep(Math.min(60_000, atMs - Date.now()), undefined, { signal }).catch(() => undefined);
}

function summaryLines(counts: ReconcileCounts, flags: ReconcileFlags, isEnd: boolean): string[] {
  const { missing, enqueued } = counts;
  const note = flags.enqueueMissing
    ? `${grouped(enqueued)} of them added; the workers import them`
    : flags.missingFile !== undefined
      ? `in ${flags.missingFile}`
      : 'to add them: --enqueue-missing';
  const always: NamedCount[] = [
    ['users', counts.rows, isEnd ? '' : 'so far: the same command goes on there'],
    ['imported', counts.imported, ''],
    ['missing', missing, missing === 0 ? '' : note],
  ];
  const others: NamedCount[] = [
    ['in a call', counts.underWay, 'on their way'],
    ['dead letters', counts.dead, 'see imsync dlq list'],
    ['not checked', counts.unasked, 'the API does not say whether they exist'],
    ['rejected', counts.rejected, 'cannot be accounts as they are'],
  ];
  return countedLines([...always, ...others.filter(([, count]) => count > 0)]);
}

/** A database keeps all digits of a number, so one that looks rounded is an ID as it stands. */
function rulesOf(config: Config): RowRules {
  const allowOddIds = [...config.allowOddIds, 'rounded'];
  return { ...eventRulesOf(config), allowOddIds, allowDecimals: true, odd: { saw: () => undefined } };
}
