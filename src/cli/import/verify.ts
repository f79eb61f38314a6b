import { rm } from 'node:fs/promises';
import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForWorker } from '../../config/requirements.ts';
import { type Reject, RejectFile } from '../../tasks/backfill/import-files.ts';
import {
  type RowState,
  type VerifiedRow,
  type VerifyCounts,
  verifyRows,
} from '../../tasks/backfill/verify-rows.ts';
import { loadForCommand } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { countedLines, grouped, type NamedCount, printResult } from '../format.ts';
import {
  addRowsOptions,
  inputName,
  openedText,
  ROWS_HELP,
  type RowsFlags,
  rejectShape,
  rulesOf,
  summaryText,
  withRows,
} from './rows-input.ts';
import { withBackfill } from './with-backfill.ts';

interface VerifyFlags extends RowsFlags {
  readonly enqueueMissing?: boolean;
  readonly missingFile?: string;
  readonly json?: boolean;
}

const HELP = `${ROWS_HELP}

Asks the API with account_check, a hundred users per call, within the quota of that call: imports are not slowed down.
A user without an account may have an event in a call, or dead letters (imsync dlq list --user ID says why). All others
are missing. An event of theirs may still be waiting in the intake, which is not searched.

--enqueue-missing adds the missing users as imsync import would. Users with dead letters are left to imsync dlq.
--missing-file writes all users without an account as CSV, which imsync import can read.

Exit codes: 0 every user of the file has an account; 1 some have none, or could not be checked; 2 usage, configuration,
or a file that cannot be used; 3 Redis or the API is out of reach; 130 stopped by Ctrl-C.

Examples:
  imsync verify users.csv
  imsync verify users.csv --missing-file missing.csv --json
  imsync verify users.csv --enqueue-missing`;

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('check whether the users of a file have accounts')
    .argument('[file]', 'CSV or NDJSON, plain or gzip; - is standard input');
  return addRowsOptions(command)
    .option('--enqueue-missing', 'add the missing users to the intake')
    .option('--missing-file <file>', 'write the users without an account to this file')
    .option('--json', 'print the summary as one JSON object')
    .addHelpText('after', HELP)
    .action(async (file: string | undefined, flags: VerifyFlags, self: Command) => {
      process.exitCode = await runVerify(inputName(file, flags), flags, self);
    });
}

/** Checks every row; writes and enqueues the missing users as the flags say. Resolves to the exit code. */
async function runVerify(file: string, flags: VerifyFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  const { missingFile, enqueueMissing } = flags;
  checkVerify(file, flags, config);
  requireForWorker(config);
  return withRows({ config, verb: 'verify', file }, flags, async (run) => {
    const { rows, watched, odd, progress, signal } = run;
    if (missingFile !== undefined) await rm(missingFile, { force: true });
    const missing = new RejectFile(missingFile ?? '', rejectShape(rows), 0);
    progress.say(openedText(rows));
    const counts = await withBackfill(config, true, run, async ({ checks, redis, keys, add }) => {
      if (checks === undefined)
        throw new RangeError('verify runs without account_check: a bug, please report it');
      return verifyRows({
        ...{ checks, redis, keys, signal },
        rows: watched.rows(),
        rules: rulesOf(config, flags, odd),
        onRows: async (found) => {
          if (missingFile !== undefined) await missing.add(found.flatMap(withoutAccount));
          if (!enqueueMissing) return 0;
          const users = found.flatMap(({ state, user }) => (state === 'missing' && user ? [user] : []));
          await add(users);
          return users.length;
        },
        onProgress: (soFar) => {
          const others = soFar.missing + soFar.dead + soFar['under-way'];
          progress.show(soFar.rows, `${grouped(soFar.imported)} imported, ${grouped(others)} not`);
        },
      });
    }).finally(() => missing.close());
    progress.end();
    const complete = !signal.aborted;
    const seen = { warnings: watched.warnings(), odd: odd.findings() };
    const text = summaryText(seen, summaryLines(counts, flags, complete));
    printResult(flags.json, { file, complete, counts, missingFile, ...seen }, text);
    return counts.imported === counts.rows ? EXIT.done : EXIT.failed;
  });
}

function checkVerify(file: string, flags: VerifyFlags, config: Config): void {
  if (config.api.form === 'hosted')
    throw new CliError(
      EXIT.usage,
      'verify needs account_check, which exists with IMSYNC_API current and legacy only, not in hosted mode. Import the file instead: registering an account twice changes nothing.',
    );
  if (flags.missingFile !== undefined && flags.missingFile === file)
    throw new CliError(EXIT.usage, `${file} is the file to be verified: name another --missing-file.`);
}

/** Written as a reject is, with line and reason before its own columns, so that it can be imported again. */
function withoutAccount({ row, state, reason }: VerifiedRow): Reject[] {
  return state === 'imported' ? [] : [{ row, reason: reason ?? NAMES[state] }];
}

const NAMES: Readonly<Record<RowState, string>> = {
  imported: 'imported',
  'under-way': 'in a call',
  dead: 'in dead letters',
  missing: 'missing',
  unasked: 'not checked',
  rejected: 'rejected',
};

function summaryLines(counts: VerifyCounts, flags: VerifyFlags, complete: boolean): string[] {
  const always: NamedCount[] = [
    ['rows', counts.rows, complete ? '' : 'so far: it was stopped'],
    ['imported', counts.imported, ''],
  ];
  const others: NamedCount[] = [
    ['in a call', counts['under-way'], 'verify again in a moment'],
    ['dead letters', counts.dead, 'see imsync dlq list'],
    ['missing', counts.missing, missingNote(counts, flags)],
    ['not checked', counts.unasked, 'the API does not say whether they exist'],
    ['rejected', counts.rejected, 'cannot be imported as they are; --missing-file says why'],
  ];
  return countedLines([...always, ...others.filter(([name, count]) => count > 0 || name === 'missing')]);
}

function missingNote(
  { missing, enqueued }: VerifyCounts,
  { enqueueMissing, missingFile }: VerifyFlags,
): string {
  if (missing === 0) return '';
  if (enqueueMissing) return `${grouped(enqueued)} of them added; verify again when they are imported`;
  return missingFile === undefined
    ? 'to create them: imsync import, or --enqueue-missing'
    : `in ${missingFile}`;
}
