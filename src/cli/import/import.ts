import { Command, InvalidArgumentError } from 'commander';
import { runDryRun } from './dry-run.ts';
import { checkImport, type ImportFlags } from './flags.ts';
import { addRowsOptions, ROWS_HELP } from './rows-options.ts';
import { runImport } from './run-import.ts';

const HELP = `${ROWS_HELP}

Only accounts that are missing are made: account_check is asked first, a hundred users a call, within its own quota.
--update asks nobody and adds every row: the profiles of accounts that are there are overwritten by the file.

Signups stay quick meanwhile: rows are added only while less than a third of a second of work waits, and not at all
while calls are held or paused or Redis is nearly full. Workers do the importing: one at least must be running.

Ctrl-C stops after the step at hand. The same command goes on where it stopped, after a kill, too: a checkpoint
stands beside the file. Rows added twice do no harm.

Rows that cannot be imported go to the reject file, with line and reason: mend it and import it. They are no dead
letters. A dead letter is an account that the API refuses: see imsync dlq.

Exit codes: 0 all rows are added or there already (with --wait: imported); 1 some are not, or the file cannot be read
to its end; 2 usage, configuration, or a file that is not what it should be; 3 Redis or the API is out of reach;
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
    .option('--update', 'add every row, and overwrite the profiles of accounts that are there')
    .option('--dry-run', 'read and count everything; change nothing, ask nobody')
    .option('--wait', 'wait until every event has ended, and say how')
    .option('--rejects <file>', 'where rows go that cannot be imported (default: beside the file)')
    .option('--checkpoint <file>', 'where it is kept how far the import has come (default: beside the file)')
    .option('--restart', 'begin anew, whatever the checkpoint says')
    .option('--skip-rows <number>', 'pass over the first rows: to go on with standard input', rowNumber, 0)
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
