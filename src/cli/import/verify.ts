import { Command } from 'commander';
import { addRowsOptions, ROWS_HELP } from './rows-options.ts';
import { runVerify, type VerifyFlags } from './run-verify.ts';

const HELP = `${ROWS_HELP}

Asks the API with account_check, a hundred users a call, within that call's own quota: imports are not slowed down.
A user who is not there may have an event under way (in a call), or dead letters (imsync dlq list --user ID says
why); or nothing is known of them but, perhaps, an event that still waits in the intake.

--enqueue-missing adds those who are missing, as imsync import would; those with dead letters are left to imsync dlq.
--missing-file writes all who are not there as CSV, which imsync import reads.

Exit codes: 0 every user of the file has an account; 1 some do not, or could not be asked for; 2 usage,
configuration, or a file that is not what it should be; 3 Redis or the API is out of reach; 130 stopped by Ctrl-C.

Examples:
  imsync verify users.csv
  imsync verify users.csv --missing-file missing.csv --json
  imsync verify users.csv --enqueue-missing`;

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('ask whether the users of a file have accounts')
    .argument('<file>', 'CSV or NDJSON, plain or gzip; - is standard input');
  addRowsOptions(command)
    .option('--enqueue-missing', 'add users who are missing to the intake')
    .option('--missing-file <file>', 'write users who are not there to this file')
    .option('--json', 'print the summary as one JSON object')
    .addHelpText('after', HELP)
    .action(async (file: string, flags: VerifyFlags, self: Command) => {
      process.exitCode = await runVerify(file, flags, self);
    });
  return command;
}
