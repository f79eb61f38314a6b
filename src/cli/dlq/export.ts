import { Command } from 'commander';
import { listDeadLetters } from '../../ledger/letters/letter-store.ts';
import { withRedis } from '../with-redis.ts';
import { addFilterOptions, FILTER_HELP, type FilterFlags, filterOf } from './filter.ts';
import { type Output, standardOutput, writeFileWhole } from './output.ts';

const HELP = `${FILTER_HELP}
An object has the fields of dlq list --json. Passwords are not among them. The number of letters goes to standard
error. A file appears when it is complete, readable by its owner only.

Examples:
  imsync dlq export --state all --output letters.ndjson
  imsync dlq export --code 40005 | jq -r .event.nick`;

export function exportCommand(): Command {
  const command = new Command('export')
    .description('letters as NDJSON, a JSON object a line')
    .option('--output <file>', 'write to this file instead of standard output')
    .addHelpText('after', HELP);
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
