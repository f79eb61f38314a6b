import { hostname, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { openCallQueues } from '../calls/queues.ts';
import type { StoredLetter } from '../ledger/dead-letters.ts';
import { listDeadLetters, readLetters } from '../ledger/letter-store.ts';
import { commandPair, quotaOf } from '../pace/quotas.ts';
import { type RedriveReport, redrive } from '../tasks/redrive.ts';
import { maxOpenRedrives } from '../tasks/redrive-policy.ts';
import {
  addEventId,
  addFilterOptions,
  FILTER_HELP,
  type FilterFlags,
  filterOf,
  positiveNumber,
} from './dlq-filter.ts';
import { startProgress } from './dlq-progress.ts';
import { redriveText } from './dlq-text.ts';
import { CliError, EXIT } from './fail.ts';
import { readTextFile } from './load-config.ts';
import { withRedis } from './with-redis.ts';

interface RedriveFlags extends FilterFlags {
  readonly all?: boolean;
  readonly rate?: number;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

const HELP = `${FILTER_HELP}
Puts the events of dead letters into calls again: those named by event ID, those that match the filter, or all. The
calls wait behind live ones. All letters of a user go together and the newest decides, so that no older profile
overwrites a newer one. A letter stays until its call has settled: then it is resolved, or dead once more, with its
history kept. Workers make the calls; this verb ends when the letters are in them.

Left out: users who are in a call at the moment (asked for again a few times), letters before their not-before date
(unless --force), letters of reason invalid (unless --reason invalid).

Examples:
  imsync dlq redrive --dry-run
  imsync dlq redrive --reason expired --rate 500
  imsync dlq redrive --code 70399 --force --limit 1
  imsync dlq redrive 1743700123000-0`;

export function redriveCommand(): Command {
  const command = new Command('redrive')
    .description('try letters again')
    .argument('[event-id...]', 'letters by event ID', addEventId)
    .option('--all', 'all letters, as without a filter')
    .option('--dry-run', 'say how many would be redriven, and why others would not; change nothing')
    .option('--rate <users>', 'users a second at most', positiveNumber)
    .option('--force', 'try letters before their not-before date, too')
    .option('--password-file <file>', 'hosted mode: file with the password that these users get')
    .option('--json', 'print the outcome as one JSON object')
    .addHelpText('after', HELP);
  return addFilterOptions(command, false).action(
    async (eventIds: readonly string[], flags: RedriveFlags, self: Command) => {
      const filter = filterOf(flags);
      const named = eventIds.length > 0;
      if (named && (flags.all || Object.keys(filter).length > 1))
        throw new CliError(EXIT.usage, 'give event IDs or a filter, not both: nothing was redriven');
      const report = await withRedis(self, async ({ config, redis, keys }) => {
        const { batch, single } = commandPair(config.api.form);
        const password = passwordOf(flags, config.api.form === 'hosted');
        const queues = openCallQueues(redis, keys, [...new Set([batch, single])], () => undefined);
        const progress = startProgress((report: RedriveReport) => `${report.letters} letters redriven`);
        const letters = named
          ? byEventId(eventIds, await readLetters(redis, keys, eventIds))
          : listDeadLetters(redis, keys, filter);
        try {
          return await redrive(
            {
              redis,
              keys,
              queues,
              request: {
                by: askedBy(),
                batchCommand: batch,
                singleCommand: single,
                maxOpenCalls: maxOpenRedrives(quotaOf(config, batch)),
                dryRun: flags.dryRun === true,
                early: flags.force === true,
                invalid: flags.reason === 'invalid',
                ...(password !== undefined && { password }),
              },
              maxUsers: config.batch.maxSize,
              usersPerSecond: flags.rate,
              onProgress: progress.show,
              sleep,
            },
            letters,
          );
        } finally {
          progress.end();
          await queues.close();
        }
      });
      process.stdout.write(
        flags.json ? `${JSON.stringify(report)}\n` : redriveText(report, flags.dryRun === true),
      );
      if (report.givenUp !== null) process.exitCode = EXIT.failed;
    },
  );
}

/** Throws when one of them is not there, or not dead: then the rest is not tried either. */
async function* byEventId(
  eventIds: readonly string[],
  letters: readonly StoredLetter[],
): AsyncGenerator<StoredLetter> {
  for (const eventId of eventIds) {
    const letter = letters.find((found) => found.eventId === eventId);
    if (letter?.state === 'dead') continue;
    const what = letter === undefined ? 'is none of' : `is ${letter.state}, not one of`;
    throw new CliError(EXIT.failed, `${eventId} ${what} the dead letters: nothing was redriven`);
  }
  yield* letters;
}

/** Letters hold no password, and without one a hosted registration is invalid. */
function passwordOf({ passwordFile, dryRun }: RedriveFlags, hosted: boolean): string | undefined {
  if (!hosted) {
    if (passwordFile === undefined) return undefined;
    throw new CliError(EXIT.usage, '--password-file is for IMSYNC_API=hosted only: leave it out');
  }
  if (passwordFile !== undefined) return readTextFile(passwordFile).replace(/\r?\n$/, '');
  if (dryRun) return undefined;
  throw new CliError(
    EXIT.usage,
    'letters keep no passwords, and in hosted mode a registration needs one: give --password-file FILE, or push the users anew',
  );
}

/** For the letters' history. */
function askedBy(): string {
  let name: string;
  try {
    name = userInfo().username;
  } catch {
    // A container's user may have no name.
    name = String(process.getuid?.() ?? 'unknown');
  }
  return `${name}@${hostname()}`;
}
