import { Command } from 'commander';
import { type DryRun, dryRun, secondsAtQuota } from '../../tasks/backfill/validate-rows.ts';
import { loadForCommand } from '../context.ts';
import { EXIT } from '../fail.ts';
import { duration, grouped, printResult } from '../format.ts';
import { numberFrom } from '../option.ts';
import {
  addRowsOptions,
  inputName,
  openedText,
  ROWS_HELP,
  rulesOf,
  summaryText,
  withRows,
} from './rows-input.ts';
import { checkImport, type ImportFlags, runImport } from './run-import.ts';

const HELP = `${ROWS_HELP}

Only missing accounts are created. account_check is asked first, a hundred users per call, within its own quota.
--update asks for no account and adds every row: the file overwrites the profiles of existing accounts.

Signups stay quick meanwhile. Rows are added only while less than a third of a second of work is waiting, and not at all
while calls are held or paused, or while Redis is nearly full. Workers do the importing: at least one must be running.

Ctrl-C stops after the current step. The same command continues where it stopped, also after a kill, because a
checkpoint is kept beside the file. Rows that are added twice do no harm.

Rows that cannot be imported go to the reject file with their line and the reason. Correct that file and import it.
Users whose account_check fails while it succeeds for others are not imported, and their rows go there, too.
They are not dead letters. A dead letter is an account that the API refuses: see imsync dlq.

Exit codes: 0 all rows are added or have an account already (with --wait: are imported); 1 some are not, or the file
cannot be read to its end; 2 usage, configuration, or a file that cannot be used; 3 Redis or the API is out of reach;
130 stopped by Ctrl-C.

Examples:
  imsync import users.csv --dry-run
  imsync import users.csv.gz --map userId=member_id,nick=display_name
  imsync import --query 'SELECT id, name FROM users WHERE deleted_at IS NULL'
  mysql -B -e 'SELECT id AS userId, nick FROM users' app | imsync import - --format mysql
  psql -c "COPY (SELECT id, nick FROM users) TO STDOUT" app | imsync import - --format pg --no-header --map userId=1,nick=2`;

export function importCommand(): Command {
  const command = new Command('import')
    .description('import existing users from a file')
    .argument('[file]', 'CSV or NDJSON, plain or gzip; - is standard input');
  return addRowsOptions(command)
    .option('--update', 'add every row, and overwrite the profiles of existing accounts')
    .option('--dry-run', 'read and count all rows; change nothing and make no calls')
    .option('--wait', 'wait until every event has ended, and report how')
    .option('--rejects <file>', 'file for the rows that cannot be imported (default: beside the file)')
    .option('--checkpoint <file>', 'file for the progress of the import (default: beside the file)')
    .option('--restart', 'start from the first row and ignore the checkpoint')
    .option('--skip-rows <number>', 'skip the first rows, to continue with standard input', numberFrom(0), 0)
    .option('--json', 'print the summary as one JSON object')
    .addHelpText('after', HELP)
    .action(async (given: string | undefined, flags: ImportFlags, self: Command) => {
      const file = inputName(given, flags);
      checkImport(file, flags);
      process.exitCode = flags.dryRun
        ? await runDryRun(file, flags, self)
        : await runImport(file, flags, self);
    });
}

/** Reads all rows; needs neither Redis nor the API. Resolves to the exit code. */
async function runDryRun(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  return withRows({ config, verb: 'dry run', file }, flags, async (run) => {
    const { rows, watched, odd, progress, signal } = run;
    progress.say(openedText(rows));
    const onProgress = (done: number): void => progress.show(done, 'nothing is changed');
    const found = await dryRun(watched.rows(), rulesOf(config, flags, odd), onProgress, signal).catch(
      (error: Error) => {
        // The interruption closes the file, and reading a closed file fails.
        if (!signal.aborted) throw error;
      },
    );
    if (found === undefined) return EXIT.failed;
    progress.end();
    const warnings = watched.warnings();
    const seconds = secondsAtQuota(config, found);
    const seen = { warnings, odd: odd.findings() };
    const result = { file, dryRun: true, ...found, ...seen, secondsAtQuota: seconds };
    printResult(flags.json, result, summaryText(seen, dryRunLines(found, seconds)));
    return found.rejected > 0 ? EXIT.failed : EXIT.done;
  });
}

/** `secondsAtQuota`: the time that all valid rows take. */
function dryRunLines(found: DryRun, secondsAtQuota: number): string[] {
  const { rows, valid, rejected, reasons, withNick, withFaceUrl, longProfiles, alone } = found;
  const lines = [
    `rows           ${grouped(rows)}`,
    `valid          ${grouped(valid)}  ${grouped(withNick)} with a nick, ${grouped(withFaceUrl)} with a picture`,
    `rejected       ${grouped(rejected)}`,
    ...reasons.map(
      ({ reason, rows: count, firstLine }) => `  ${grouped(count)}: ${reason} (first in line ${firstLine})`,
    ),
  ];
  if (longProfiles > 0)
    lines.push(
      `${grouped(longProfiles)} have a nick or picture over 500 bytes: their accounts are created without it.`,
    );
  if (alone > 0)
    lines.push(
      `${grouped(alone)} need a call of their own (legacy form: robots and users with a profile; hosted mode: all users).`,
    );
  lines.push(
    `At the full quota the import takes ${duration(secondsAtQuota)} if no account exists yet. Nothing was changed, and no calls were made.`,
  );
  return lines;
}
