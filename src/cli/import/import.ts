import { Command, InvalidArgumentError } from 'commander';
import { dryRun, secondsAtQuota } from '../../tasks/backfill/validate-rows.ts';
import { EXIT } from '../fail.ts';
import { loadForCommand } from '../load-config.ts';
import { onInterrupt } from '../terminal.ts';
import {
  addRowsOptions,
  openedRows,
  openedText,
  ROWS_HELP,
  rowsError,
  rulesOf,
  watchRows,
} from './rows-input.ts';
import { startRowsProgress } from './rows-progress.ts';
import { checkImport, type ImportFlags, runImport } from './run-import.ts';
import { dryRunText } from './text.ts';

const HELP = `${ROWS_HELP}

Only missing accounts are created. account_check is asked first, a hundred users per call, within its own quota.
--update asks for no account and adds every row: the file overwrites the profiles of existing accounts.

Signups stay quick meanwhile. Rows are added only while less than a third of a second of work is waiting, and not at all
while calls are held or paused, or while Redis is nearly full. Workers do the importing: at least one must be running.

Ctrl-C stops after the current step. The same command continues where it stopped, also after a kill, because a
checkpoint is kept beside the file. Rows that are added twice do no harm.

Rows that cannot be imported go to the reject file with their line and the reason. Correct that file and import it.
They are not dead letters. A dead letter is an account that the API refuses: see imsync dlq.

Exit codes: 0 all rows are added or have an account already (with --wait: are imported); 1 some are not, or the file
cannot be read to its end; 2 usage, configuration, or a file that cannot be used; 3 Redis or the API is out of reach;
130 stopped by Ctrl-C.

Examples:
  imsync import users.csv --dry-run
  imsync import users.csv.gz --map userId=member_id,nick=display_name
  mysql -B -e 'SELECT id AS userId, nick FROM users' app | imsync import - --delimiter tab --no-quotes`;

export function importCommand(): Command {
  const command = new Command('import')
    .description('import existing users from a file')
    .argument('<file>', 'CSV or NDJSON, plain or gzip; - is standard input');
  addRowsOptions(command)
    .option('--update', 'add every row, and overwrite the profiles of existing accounts')
    .option('--dry-run', 'read and count all rows; change nothing and make no calls')
    .option('--wait', 'wait until every event has ended, and report how')
    .option('--rejects <file>', 'file for the rows that cannot be imported (default: beside the file)')
    .option('--checkpoint <file>', 'file for the progress of the import (default: beside the file)')
    .option('--restart', 'start from the first row and ignore the checkpoint')
    .option('--skip-rows <number>', 'skip the first rows, to continue with standard input', rowNumber, 0)
    .option('--json', 'print the summary as one JSON object')
    .addHelpText('after', HELP)
    .action(async (file: string, flags: ImportFlags, self: Command) => {
      checkImport(file, flags);
      process.exitCode = flags.dryRun
        ? await runDryRun(file, flags, self)
        : await runImport(file, flags, self);
    });
  return command;
}

function rowNumber(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of rows.');
  return Number(text);
}

/** Reads all rows; needs neither Redis nor the API. Resolves to the exit code. */
async function runDryRun(file: string, flags: ImportFlags, self: Command): Promise<number> {
  const { config } = loadForCommand(self);
  const rows = await openedRows(file, flags);
  const progress = startRowsProgress('dry run');
  const interruption = onInterrupt(() => rows.close());
  const watched = watchRows(rows);
  try {
    progress.say(openedText(rows));
    const found = await dryRun(
      watched.rows(),
      rulesOf(config, flags),
      (done) =>
        progress.show({ rows: done, estimatedRows: watched.estimatedRows(), words: 'nothing is changed' }),
      interruption.signal,
    );
    progress.end();
    const warnings = watched.warnings();
    const seconds = secondsAtQuota(config, found);
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ file, dryRun: true, ...found, warnings, secondsAtQuota: seconds })}\n`
        : dryRunText(found, warnings, seconds),
    );
    return interruption.exitCode ?? (found.rejected > 0 ? EXIT.failed : EXIT.done);
  } catch (error) {
    // The interruption closes the file, and reading a closed file fails.
    if (interruption.exitCode !== undefined) return interruption.exitCode;
    throw rowsError(error, '');
  } finally {
    progress.end();
    interruption.release();
    rows.close();
  }
}
