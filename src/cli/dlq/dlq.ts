import { once } from 'node:events';
import { rename, rm, writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { listLetterPages, readLetters, summarizeLetters } from '../../ledger/letters/letter-store.ts';
import { listRuns } from '../../ledger/letters/redrive-history.ts';
import { withRedis } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { escapedLines, jsonLine, printResult } from '../format.ts';
import { csvHead, csvRow } from './csv.ts';
import { deleteCommand } from './delete.ts';
import { addEventId, addFilterOptions, FILTER_HELP, type FilterFlags, filterOf } from './filter.ts';
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
  return new Command('dlq')
    .description('dead letters: events that ended without an account, or without their profile')
    .addHelpText('after', DLQ_HELP)
    .addCommand(summaryCommand(), { isDefault: true })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(redriveCommand())
    .addCommand(redrivesCommand())
    .addCommand(deleteCommand())
    .addCommand(exportCommand());
}

function summaryCommand(): Command {
  return new Command('summary')
    .description('count unresolved letters by reason and error code, with the newest of each (default)')
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const summary = await withRedis(command, summarizeLetters);
      printResult(json, summary, summaryText(summary));
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
      await withRedis(self, async (app) => {
        let count = 0;
        const line = (letter: StoredLetter): string =>
          flags.json ? jsonLine(letter) : escapedLines(letterLine(letter));
        for await (const letters of listLetterPages(app, filterOf(flags))) {
          count += letters.length;
          await print(letters.map(line).join(''));
        }
        if (count === 0 && !flags.json) await print('no letters match\n');
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
      const [letter] = await withRedis(command, (app) => readLetters(app, [eventId]));
      if (letter === undefined)
        throw new CliError(
          EXIT.failed,
          `There is no letter for event ${eventId}. imsync dlq list shows all letters.`,
        );
      printResult(json, letter, letterText(letter, Date.now()));
    });
}

const EXPORT_HELP = `${FILTER_HELP}

An object has the fields of dlq list --json; passwords are not among them. As csv, a letter is a row with its main
fields; text that a spreadsheet would run as a formula has an apostrophe in front. The number of letters is printed on standard
error. The file appears only when it is complete, and only its owner can read it.

Examples:
  imsync dlq export --state all --output letters.ndjson
  imsync dlq export --code 40005 | jq -r .event.nick
  imsync dlq export --format csv --output letters.csv`;

function exportCommand(): Command {
  const command = new Command('export')
    .description('write letters as NDJSON, one JSON object per line, or as CSV')
    .addOption(
      new Option('--format <format>', 'how a letter is written').choices(['ndjson', 'csv']).default('ndjson'),
    )
    .option('--output <file>', 'write to this file instead of standard output')
    .addHelpText('after', EXPORT_HELP);
  return addFilterOptions(command, true).action(
    async (flags: FilterFlags & { output?: string; format: 'ndjson' | 'csv' }, self: Command) => {
      await withRedis(self, async (app) => {
        let count = 0;
        const line = flags.format === 'csv' ? csvRow : jsonLine;
        const pages = async function* () {
          if (flags.format === 'csv') yield csvHead;
          for await (const letters of listLetterPages(app, filterOf(flags))) {
            count += letters.length;
            yield letters.map((letter) => line(letter)).join('');
          }
        };
        if (flags.output !== undefined) await writeFileWhole(flags.output, pages());
        else for await (const page of pages()) await print(page);
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
      const runs = await withRedis(command, listRuns);
      for (const run of runs) await print(json ? jsonLine(run) : escapedLines(runLine(run)));
      if (runs.length === 0 && !json) await print('there were no redrives yet\n');
    });
}

/** Waits while the reader is slow. A reader that has gone ends the process: see src/cli.ts. */
async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/**
 * Writes a file that appears complete or not at all. Only its owner can read it, because letters hold users'
 * data. An existing file is replaced.
 */
async function writeFileWhole(path: string, lines: AsyncIterable<string>): Promise<void> {
  const unfinished = `${path}.unfinished-${process.pid}`;
  try {
    await writeFile(unfinished, lines, { mode: 0o600, flag: 'wx' });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    const { path: ofFile, message } = error as NodeJS.ErrnoException;
    if (ofFile === undefined) throw error;
    throw new CliError(
      EXIT.failed,
      `${path} cannot be written: ${message}. Choose another file with --output.`,
    );
  }
}
