import { Command } from 'commander';
import { listDeadLetters, readLetters, summarizeLetters } from '../../ledger/letters/letter-store.ts';
import { listRuns } from '../../ledger/letters/redrive-history.ts';
import { CliError, EXIT } from '../fail.ts';
import { withRedis } from '../with-redis.ts';
import { deleteCommand } from './delete.ts';
import { addEventId, addFilterOptions, FILTER_HELP, type FilterFlags, filterOf } from './filter.ts';
import { type Output, standardOutput, writeFileWhole } from './output.ts';
import { redriveCommand } from './redrive.ts';
import { letterLine, letterText, runLine, summaryText } from './text.ts';

/** `imsync dlq` and its verbs that only read: summary, list, show, export and redrives. */

const DLQ_HELP = `
Without a verb it prints the summary. Letters stay until somebody deletes them. A letter is resolved automatically when
its event, or a newer event of its user, is imported.

Reasons:
  invalid    the event is not valid; it was never sent
  rejected   the API refuses the account
  profile    the account was imported; the API refused its nick or picture
  expired    the event was retried until it was too old
  unknown    the API gave an answer that this version does not know

Examples:
  imsync dlq
  imsync dlq list --reason rejected
  imsync dlq redrive --dry-run
  imsync dlq export --output letters.ndjson`;

export function dlqCommand(): Command {
  const dlq = new Command('dlq')
    .description('dead letters: events that ended without an account, or without their profile')
    .addHelpText('after', DLQ_HELP);
  dlq.addCommand(summaryCommand(), { isDefault: true });
  for (const command of [
    listCommand(),
    showCommand(),
    redriveCommand(),
    redrivesCommand(),
    deleteCommand(),
    exportCommand(),
  ])
    dlq.addCommand(command);
  return dlq;
}

function summaryCommand(): Command {
  return new Command('summary')
    .description('count unresolved letters by reason and error code, with the newest of each (default)')
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const summary = await withRedis(command, ({ redis, keys }) => summarizeLetters(redis, keys));
      await standardOutput().write(json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    });
}

const LIST_HELP = `${FILTER_HELP}

Letters that are added while the list is printed are not in it.

Examples:
  imsync dlq list --reason rejected --newer-than 1d
  imsync dlq list --code 70399 --json
  imsync dlq list --user alice --state all`;

function listCommand(): Command {
  const command = new Command('list')
    .description('list letters, oldest first, one per line')
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', LIST_HELP);
  return addFilterOptions(command, true).action(
    async (flags: FilterFlags & { json?: boolean }, self: Command) => {
      await withRedis(self, async ({ redis, keys }) => {
        const output = standardOutput();
        let count = 0;
        for await (const letter of listDeadLetters(redis, keys, filterOf(flags))) {
          count++;
          if (!(await output.write(flags.json ? `${JSON.stringify(letter)}\n` : letterLine(letter)))) return;
        }
        if (count === 0 && !flags.json) await output.write('no letters match\n');
      });
    },
  );
}

function showCommand(): Command {
  return new Command('show')
    .description('show everything about one letter, and what to do next')
    .argument('<event-id>', "the letter's event ID", (text: string) => addEventId(text)[0])
    .option('--json', 'print the letter as one JSON object')
    .addHelpText('after', '\nExample:\n  imsync dlq show 1743700123000-0')
    .action(async (eventId: string, { json }: { json?: boolean }, command: Command) => {
      const [letter] = await withRedis(command, ({ redis, keys }) => readLetters(redis, keys, [eventId]));
      if (letter === undefined)
        throw new CliError(
          EXIT.failed,
          `There is no letter for event ${eventId}. imsync dlq list shows all letters.`,
        );
      await standardOutput().write(json ? `${JSON.stringify(letter)}\n` : letterText(letter, Date.now()));
    });
}

const EXPORT_HELP = `${FILTER_HELP}

An object has the fields of dlq list --json; passwords are not among them. The number of letters is printed on standard
error. The file appears only when it is complete, and only its owner can read it.

Examples:
  imsync dlq export --state all --output letters.ndjson
  imsync dlq export --code 40005 | jq -r .event.nick`;

function exportCommand(): Command {
  const command = new Command('export')
    .description('write letters as NDJSON, one JSON object per line')
    .option('--output <file>', 'write to this file instead of standard output')
    .addHelpText('after', EXPORT_HELP);
  return addFilterOptions(command, true).action(
    async (flags: FilterFlags & { output?: string }, self: Command) => {
      await withRedis(self, async ({ redis, keys }) => {
        let count = 0;
        const writeAll = async (output: Output): Promise<void> => {
          for await (const letter of listDeadLetters(redis, keys, filterOf(flags))) {
            if (!(await output.write(`${JSON.stringify(letter)}\n`))) return;
            count++;
          }
        };
        if (flags.output === undefined) await writeAll(standardOutput());
        else await writeFileWhole(flags.output, writeAll);
        process.stderr.write(`${count} letters exported\n`);
      });
    },
  );
}

const REDRIVES_HELP = `
A redrive that was interrupted, or that stopped early, continues with: imsync dlq redrive --resume ID

Examples:
  imsync dlq redrives
  imsync dlq redrives --json`;

function redrivesCommand(): Command {
  return new Command('redrives')
    .description('list the last hundred redrives, newest first: who, when, which letters and how many')
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', REDRIVES_HELP)
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const runs = await withRedis(command, ({ redis, keys }) => listRuns(redis, keys));
      const output = standardOutput();
      for (const run of runs)
        if (!(await output.write(json ? `${JSON.stringify(run)}\n` : runLine(run)))) return;
      if (runs.length === 0 && !json) await output.write('there were no redrives yet\n');
    });
}
