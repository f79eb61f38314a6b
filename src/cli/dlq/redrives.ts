import { Command } from 'commander';
import { listRuns } from '../../ledger/letters/redrive-history.ts';
import { withRedis } from '../with-redis.ts';
import { standardOutput } from './output.ts';
import { runLine } from './text.ts';

const HELP = `
A run that was interrupted, or that stopped by itself, goes on with: imsync dlq redrive --resume ID

Examples:
  imsync dlq redrives
  imsync dlq redrives --json`;

export function redrivesCommand(): Command {
  return new Command('redrives')
    .description('the last hundred redrives: who, when, which letters and how many; newest first')
    .option('--json', 'print a JSON object a line')
    .addHelpText('after', HELP)
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const runs = await withRedis(command, ({ redis, keys }) => listRuns(redis, keys));
      const output = standardOutput();
      for (const run of runs)
        if (!(await output.write(json ? `${JSON.stringify(run)}\n` : runLine(run)))) return;
      if (runs.length === 0 && !json) await output.write('nothing was redriven yet\n');
    });
}
