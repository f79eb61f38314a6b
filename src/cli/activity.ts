import { Command } from 'commander';
import { matching } from '../config/formats.ts';
import { printable } from '../ops/feed/record.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { type Activity, listActivity, operatorName, recordActivity } from '../tasks/activity.ts';
import { withRedis } from './context.ts';
import { isoTime, jsonLine } from './format.ts';
import { numberFrom, optionOf } from './option.ts';

const NAME = matching('1 to 100 characters on one line', /^[^\p{Cc}]{1,100}$/u);

/** The option `--as`, for every verb whose act is recorded. */
export function addAsOption(command: Command): Command {
  return command.option(
    '--as <name>',
    'name or reason for the history, added to the user and machine name',
    optionOf(NAME),
  );
}

/** Records what was just done. If it cannot be recorded, standard error says so, and nothing else changes. */
export async function noteAct(
  redis: RedisClient,
  keys: Keys,
  what: Activity['what'],
  name: string | undefined,
  detail: string,
): Promise<void> {
  const recorded = recordActivity(redis, keys, { what, by: operatorName(name), detail });
  await recorded.catch(({ message }: Error) => {
    process.stderr.write(`imsync: the ${what} was done, but could not be recorded: ${message}\n`);
  });
}

const HELP = `
Lists pauses, resumes, redrives, deletions and forgotten users, and what the console exported and imported: when, by whom,
and how it ended. It names no user of the app.
Imports of files are not among them: each leaves a summary and files of its own.
About 1,000 acts are kept.

Examples:
  imsync activity
  imsync activity --limit 100 --json`;

export function activityCommand(): Command {
  return new Command('activity')
    .description('list what operators did: pauses, redrives, deletions')
    .option('--limit <number>', 'at most so many, the newest first', numberFrom(1), 20)
    .option('--json', 'print one JSON object per line')
    .addHelpText('after', HELP)
    .action(async ({ limit, json }: { limit: number; json?: boolean }, command: Command) => {
      const acts = await withRedis(command, ({ redis, keys }) => listActivity(redis, keys, limit));
      if (acts.length === 0 && !json) process.stdout.write('no operator has done anything yet\n');
      for (const act of acts) process.stdout.write(json ? jsonLine(act) : lineOf(act));
    });
}

/** Another version may know other acts, and leave fields out. */
function lineOf({ at, what, by, detail = '' }: Activity): string {
  const how = detail === '' ? '' : `: ${printable(detail)}`;
  return `${isoTime(at)}  ${printable(what ?? 'unknown').padEnd(8)}${printable(by)}${how}\n`;
}
