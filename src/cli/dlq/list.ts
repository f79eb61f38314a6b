import { Command } from 'commander';
import { listDeadLetters, readLetters } from '../../ledger/letters/letter-store.ts';
import { summarizeLetters } from '../../ledger/letters/letter-summary.ts';
import { CliError, EXIT } from '../fail.ts';
import { withRedis } from '../with-redis.ts';
import { addEventId, addFilterOptions, FILTER_HELP, type FilterFlags, filterOf } from './filter.ts';
import { standardOutput } from './output.ts';
import { letterLine, letterText, summaryText } from './text.ts';

export function summaryCommand(): Command {
  return new Command('summary')
    .description('unresolved letters by reason and error code, with the newest of each (default)')
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const summary = await withRedis(command, ({ redis, keys }) => summarizeLetters(redis, keys));
      await standardOutput().write(json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    });
}

const LIST_HELP = `${FILTER_HELP}
What dies while it lists is not listed.

Examples:
  imsync dlq list --reason rejected --newer-than 1d
  imsync dlq list --code 70399 --json
  imsync dlq list --user alice --state all`;

export function listCommand(): Command {
  const command = new Command('list')
    .description('letters, oldest first, a line each')
    .option('--json', 'print a JSON object a line')
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

export function showCommand(): Command {
  return new Command('show')
    .description('all about one letter, and what to do next')
    .argument('<event-id>', 'its event ID', (text: string) => addEventId(text)[0])
    .option('--json', 'print the letter as one JSON object')
    .addHelpText('after', '\nExample:\n  imsync dlq show 1743700123000-0')
    .action(async (eventId: string, { json }: { json?: boolean }, command: Command) => {
      const [letter] = await withRedis(command, ({ redis, keys }) => readLetters(redis, keys, [eventId]));
      if (letter === undefined)
        throw new CliError(
          EXIT.failed,
          `there is no letter of event ${eventId}; imsync dlq list shows those there are`,
        );
      await standardOutput().write(json ? `${JSON.stringify(letter)}\n` : letterText(letter, Date.now()));
    });
}
