import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { openCallQueues } from '../../calls/bullmq/queues.ts';
import type { Config } from '../../config/config.ts';
import type { StoredLetter } from '../../ledger/letters/dead-letters.ts';
import { readLetters } from '../../ledger/letters/letter-store.ts';
import { commandPair, quotaOf } from '../../pace/quotas.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { createMemoryWatermark, hasRoomForBulk } from '../../redis/memory-watermark.ts';
import { type RedriveReport, redrive } from '../../tasks/redrive.ts';
import { maxOpenRedrives } from '../../tasks/redrive-policy.ts';
import { CliError, EXIT } from '../fail.ts';
import { readTextFile } from '../load-config.ts';
import { withRedis } from '../with-redis.ts';
import {
  addEventId,
  addFilterOptions,
  FILTER_HELP,
  type FilterFlags,
  filterOf,
  positiveNumber,
} from './filter.ts';
import { startProgress } from './progress.ts';
import { type Asked, lettersOf, signsOfLife, takeUp } from './redrive-run.ts';
import { redriveText } from './text.ts';

interface RedriveFlags extends FilterFlags {
  readonly all?: boolean;
  readonly file?: string;
  readonly rate?: number;
  readonly stopAtFailures: number;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly resume?: string;
  readonly as?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const HELP = `${FILTER_HELP}
Puts the events of dead letters into calls again: those named by event ID or in a file, those that match the filter, or
all. The calls wait behind live ones. All letters of a user go together and the newest decides, so that no older profile
overwrites a newer one. A letter stays until its call has settled: then it is resolved, or dead once more, with its
history kept. Workers make the calls; this verb ends when the letters are in them.

A file holds an event ID or a user ID a line, or lines of dlq list --json; "-" is the standard input.

The first hundred users are waited for. When more than the share --stop-at-failures of those whose end is known are
dead once more, it stops: then the cause is not mended. It also stops when Redis is nearly full, since live events need
what is left. Ctrl-C interrupts it. Whatever ended it, --resume goes on with the letters that were not redriven yet;
those that died since are not among them. imsync dlq redrives lists who redrove what.

Left out: users who are in a call at the moment (asked for again a few times), letters before their not-before date
(unless --force), letters of reason invalid (unless --reason invalid).

Exit codes: 0 all are in calls, or left with a reason; 1 it ended before; 2 usage; 3 Redis is out of reach.

Examples:
  imsync dlq redrive --dry-run
  imsync dlq redrive --reason expired --rate 500
  imsync dlq redrive --code 70399 --force --limit 1
  imsync dlq redrive --file users.txt --as "Ann, ticket 4711"
  imsync dlq redrive --resume r7
  imsync dlq redrive 1743700123000-0`;

export function redriveCommand(): Command {
  const command = new Command('redrive')
    .description('try letters again')
    .argument('[event-id...]', 'letters by event ID', addEventId)
    .option('--all', 'all letters, as without a filter')
    .option(
      '--file <file>',
      'letters by a list of event IDs or user IDs, a line each; - reads it from standard input',
    )
    .option('--dry-run', 'say how many would be redriven, and why others would not; change nothing')
    .option('--rate <users>', 'users a second at most', positiveNumber)
    .option(
      '--stop-at-failures <share>',
      'stop when more than this share is dead once more; 1: never',
      readShare,
      0.5,
    )
    .option('--force', 'try letters before their not-before date, too')
    .option('--resume <id>', 'go on with a redrive that ended early; imsync dlq redrives names it')
    .option('--as <name>', 'who asks, or why, for the history; user and machine are noted anyway', readName)
    .option('--password-file <file>', 'hosted mode: file with the password that these users get')
    .option('--json', 'print the outcome as one JSON object')
    .addHelpText('after', HELP);
  return addFilterOptions(command, false).action(
    async (eventIds: readonly string[], flags: RedriveFlags, self: Command) => {
      const asked = askedFor(eventIds, flags);
      const { report, runId } = await withRedis(self, ({ config, redis, keys }) =>
        run(config, redis, keys, asked, flags),
      );
      const id = runId === undefined ? {} : { id: runId };
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ ...report, ...id })}\n`
          : redriveText(report, flags.dryRun === true, resumable(asked) ? runId : undefined),
      );
      if (report.givenUp !== null) process.exitCode = EXIT.failed;
    },
  );
}

async function run(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  asked: Asked,
  flags: RedriveFlags,
): Promise<{ report: RedriveReport; runId: string | undefined }> {
  const { batch, single } = commandPair(config.api.form);
  const password = passwordOf(flags, config.api.form === 'hosted');
  const dryRun = flags.dryRun === true;
  const named = asked.eventIds.length > 0 ? await deadOnes(redis, keys, asked.eventIds) : undefined;
  const history = await takeUp(redis, keys, asked, dryRun);
  const queues = openCallQueues(redis, keys, [...new Set([batch, single])], () => undefined);
  const progress = startProgress(
    ({ letters, imported, failed }: RedriveReport) =>
      `${letters} letters redriven; by now ${imported} users imported, ${failed} dead once more`,
  );
  const say = (text: string): void => progress.say(`imsync: ${text}`);
  const signs = dryRun ? undefined : signsOfLife(redis, keys, history, say);
  const memory = createMemoryWatermark(redis, keys);
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  // A second one ends the process at once.
  for (const signal of INTERRUPTS) process.once(signal, onInterrupt);
  let unnamed = 0;
  try {
    const report = await redrive(
      {
        redis,
        keys,
        queues,
        request: {
          by: history.by,
          batchCommand: batch,
          singleCommand: single,
          maxOpenCalls: maxOpenRedrives(quotaOf(config, batch)),
          dryRun,
          early: asked.force || history.force,
          invalid: (asked.filter.reason ?? history.filter.reason) === 'invalid',
          ...(password !== undefined && { password }),
        },
        maxUsers: config.batch.maxSize,
        usersPerSecond: asked.rate ?? history.rate ?? undefined,
        unnamed: () => unnamed,
        maxFailedShare: flags.stopAtFailures,
        hasRoom: async () => hasRoomForBulk(await memory.look()),
        signal: interrupt.signal,
        onProgress: (soFar) => {
          progress.show(soFar);
          signs?.tell(soFar);
        },
        sleep: (ms) => sleep(ms, undefined, { signal: interrupt.signal }).catch(() => undefined),
      },
      named ?? lettersOf(redis, keys, history, asked, () => unnamed++),
    );
    await signs?.end(report);
    return { report, runId: dryRun ? undefined : history.id };
  } catch (error) {
    await signs?.broke(error as Error);
    throw error;
  } finally {
    for (const signal of INTERRUPTS) process.off(signal, onInterrupt);
    progress.end();
    await queues.close();
  }
}

/** What was asked for, once it makes sense. Throws a usage error. */
function askedFor(eventIds: readonly string[], flags: RedriveFlags): Asked {
  const filter = filterOf(flags);
  const narrowed = flags.all === true || Object.keys(filter).length > 1;
  const refuse = (what: string): never => {
    throw new CliError(EXIT.usage, `${what}: nothing was redriven`);
  };
  if (eventIds.length > 0 && (narrowed || flags.file !== undefined || flags.resume !== undefined))
    refuse('give event IDs, or a file, or a filter, not several of them');
  if (flags.resume !== undefined && narrowed)
    refuse('--resume goes on with the filter that the redrive began with: leave the filter out');
  if (flags.file !== undefined && flags.all === true) refuse('give --file or --all, not both');
  return {
    filter,
    eventIds,
    force: flags.force === true,
    ...(flags.file !== undefined && { file: flags.file }),
    ...(flags.rate !== undefined && { rate: flags.rate }),
    ...(flags.resume !== undefined && { resume: flags.resume }),
    ...(flags.as !== undefined && { as: flags.as }),
  };
}

/** Letters that were named one by one are not remembered. */
function resumable({ eventIds, filter }: Asked): boolean {
  return eventIds.length === 0 && filter.userId === undefined;
}

function readShare(text: string): number {
  const share = Number(text);
  if (!/^[01](\.\d{1,3})?$/.test(text) || share > 1)
    throw new InvalidArgumentError('It must be a share from 0 to 1, such as 0.5.');
  return share;
}

function readName(text: string): string {
  if (!/^[^\p{Cc}]{1,100}$/u.test(text)) throw new InvalidArgumentError('It must be 1 to 100 characters.');
  return text;
}

/** Throws when one of them is not there, or not dead: then the rest is not tried either. */
async function deadOnes(
  redis: RedisClient,
  keys: Keys,
  eventIds: readonly string[],
): Promise<AsyncIterable<StoredLetter>> {
  const letters = await readLetters(redis, keys, eventIds);
  for (const eventId of eventIds) {
    const letter = letters.find((found) => found.eventId === eventId);
    if (letter?.state === 'dead') continue;
    const what = letter === undefined ? 'is none of' : `is ${letter.state}, not one of`;
    throw new CliError(EXIT.failed, `${eventId} ${what} the dead letters: nothing was redriven`);
  }
  return (async function* () {
    yield* letters;
  })();
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
