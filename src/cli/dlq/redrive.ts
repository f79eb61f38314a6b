import { Command } from 'commander';
import { share } from '../../config/formats.ts';
import { eventRulesOf } from '../../event/event.ts';
import { mendLetter } from '../../tasks/mend-letter.ts';
import type { RedriveReport } from '../../tasks/redrive.ts';
import { RunRefusedError, type RunRequest } from '../../tasks/redrive-letters.ts';
import { runRedrive } from '../../tasks/redrive-run.ts';
import { addAsOption, noteAct } from '../activity.ts';
import { readTextFile, withRedis } from '../context.ts';
import { CliError, EXIT } from '../fail.ts';
import { counted, printResult } from '../format.ts';
import { numberFrom, optionOf } from '../option.ts';
import { startProgress } from '../progress.ts';
import { onInterrupt } from '../terminal.ts';
import {
  addEventId,
  addFilterOptions,
  FILTER_HELP,
  type FilterFlags,
  filterOf,
  isFiltered,
} from './filter.ts';
import { redriveText } from './text.ts';

interface RedriveFlags extends FilterFlags, Pick<RunRequest, 'file' | 'rate' | 'resume' | 'as'> {
  readonly all?: boolean;
  readonly stopAtFailures: number;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly passwordFile?: string;
  readonly mendedId?: string;
  readonly json?: boolean;
}

const LINE_EVERY_MS = 5_000;

const HELP = `${FILTER_HELP}

Puts the events of dead letters into calls again. Select letters by event ID, with a file or with a filter, or take all.
Redrive calls wait behind live calls. All letters of a user go together and the newest event decides, so that an older
profile never overwrites a newer one. A letter stays until its call has ended. Then it is resolved, or it is dead again
and keeps its history. Workers make the calls; this command ends when the letters are in calls.

The file has an event ID or a user ID on each line, or lines of dlq list --json; "-" is standard input.

The command waits for the results of the first hundred users. It stops when more than the share --stop-at-failures of
the known results are failures, because then the cause is still there. It also stops when Redis is nearly full, because
live events need the rest of the memory. Ctrl-C interrupts it. In all these cases --resume continues with the letters
that were not redriven yet, without those that died since. imsync dlq redrives lists who redrove what.

Left out are users who are in a call at the moment (they are tried again a few times), letters before their not-before
date (unless --force), and letters with reason invalid (unless --reason invalid). With it, letters are left out whose odd
user ID is refused still by IMSYNC_ALLOW_ODD_IDS of this command.

--mended-id sends the event of one letter as a new one with this user ID, and deletes the letter.

Exit codes: 0 all letters are in calls, or left out for a reason; 1 it ended early; 2 wrong usage; 3 Redis is out of
reach.

Examples:
  imsync dlq redrive --dry-run
  imsync dlq redrive --reason expired --rate 500
  imsync dlq redrive --code 70399 --force --limit 1
  imsync dlq redrive --file users.txt --as "Ann, ticket 4711"
  imsync dlq redrive --resume r7
  imsync dlq redrive 1743700123000-0
  imsync dlq redrive 1743700123000-0 --mended-id alice`;

export function redriveCommand(): Command {
  const command = new Command('redrive')
    .description('put the events of letters into calls again')
    .argument('[event-id...]', 'letters by event ID', addEventId)
    .option('--all', 'take all letters; the same as no filter')
    .option(
      '--file <file>',
      'take letters from a list of event IDs or user IDs, one per line; - reads standard input',
    )
    .option('--dry-run', 'only report how many would be redriven, and why others would not')
    .option('--rate <users>', 'redrive at most this many users per second', numberFrom(1))
    .option(
      '--stop-at-failures <share>',
      'stop when more than this share of the users is dead again; 1 never stops',
      optionOf(share),
      0.5,
    )
    .option('--force', 'also take letters before their not-before date')
    .option('--resume <id>', 'continue a redrive that ended early; imsync dlq redrives shows its ID')
    .option('--password-file <file>', 'hosted mode: file with the password that these users get')
    .option('--mended-id <id>', 'send the event of one letter with this user ID, and delete the letter')
    .option('--json', 'print the result as one JSON object')
    .addHelpText('after', HELP);
  return addFilterOptions(addAsOption(command), false).action(
    async (eventIds: readonly string[], flags: RedriveFlags, self: Command) => {
      if (flags.mendedId !== undefined) return sendMended(eventIds, flags, flags.mendedId, self);
      const request = requestOf(eventIds, flags);
      const dryRun = flags.dryRun === true;
      const progress = startProgress(LINE_EVERY_MS);
      const interruption = onInterrupt();
      const { report, runId } = await withRedis(self, async ({ config, redis, keys }) => {
        const ended = await runRedrive({
          ...{ config, redis, keys, request, dryRun, signal: interruption.signal },
          password: passwordOf(flags, config.api.form === 'hosted'),
          maxFailedShare: flags.stopAtFailures,
          onProgress: ({ letters, imported, failed }) =>
            progress.show(
              dryRun
                ? `looked at ${letters} letters`
                : `${letters} letters redriven; so far ${imported} users imported, ${failed} dead again`,
            ),
          say: (text) => progress.say(`imsync: ${text}`),
        }).catch(refused);
        if (!dryRun) await noteAct(redis, keys, 'redrive', flags.as, actText(ended));
        return ended;
      }).finally(() => {
        interruption.release();
        progress.end();
      });
      // The history does not store the names of letters that were named one by one.
      const isResumable = eventIds.length === 0 && flags.user === undefined;
      const text = redriveText(report, dryRun, isResumable ? runId : undefined);
      printResult(flags.json, { ...report, id: runId }, text);
      if (report.givenUp !== null) process.exitCode = EXIT.failed;
    },
  );
}

function refused(error: unknown): never {
  if (!(error instanceof RunRefusedError)) throw error;
  throw new CliError(error.isUsage ? EXIT.usage : EXIT.failed, error.message);
}

async function sendMended(
  eventIds: readonly string[],
  flags: RedriveFlags,
  userId: string,
  self: Command,
): Promise<void> {
  const [letterId, ...more] = eventIds;
  const { all, file, dryRun, rate, force, resume } = flags;
  const isStopGiven = self.getOptionValueSource('stopAtFailures') === 'cli';
  const isMore =
    isFiltered(flags) ||
    isStopGiven ||
    [all, file, dryRun, rate, force, resume].some((one) => one !== undefined);
  if (letterId === undefined || more.length > 0 || isMore)
    throw new CliError(
      EXIT.usage,
      '--mended-id takes one event ID, and only --as, --password-file and --json beside it. Nothing was sent.',
    );
  const eventId = await withRedis(self, async ({ config, redis, keys }) => {
    const password = passwordOf(flags, config.api.form === 'hosted');
    const app = { redis, keys };
    const sent = await mendLetter(app, eventRulesOf(config), letterId, { userId, password }).catch(refused);
    await noteAct(redis, keys, 'redrive', flags.as, `1 letter sent with a mended user ID`);
    return sent;
  });
  const text = `sent as event ${eventId}; the letter of ${letterId} is deleted\n`;
  printResult(flags.json, { eventId, letterId }, text);
}

function actText({
  runId,
  report,
}: {
  readonly runId: string | undefined;
  readonly report: RedriveReport;
}): string {
  const end = report.givenUp === null ? 'done' : `ended early (${report.givenUp})`;
  return `${runId ?? 'a redrive'} ${end}: ${counted(report.letters, 'letter')} redriven`;
}

/** The arguments as one request. Throws a usage error when they contradict each other. */
function requestOf(eventIds: readonly string[], flags: RedriveFlags): RunRequest {
  const isNarrowed = flags.all === true || isFiltered(flags);
  const refuse = (what: string): never => {
    throw new CliError(EXIT.usage, `${what} Nothing was redriven.`);
  };
  if (eventIds.length > 0 && (isNarrowed || flags.file !== undefined || flags.resume !== undefined))
    refuse('Event IDs cannot be combined with a filter, --all, --file or --resume.');
  if (flags.resume !== undefined && isNarrowed)
    refuse('--resume continues with the filter of that redrive: leave the filter out.');
  if (flags.file !== undefined && flags.all === true) refuse('Give --file or --all, not both.');
  return { ...flags, filter: filterOf(flags), eventIds, force: flags.force === true };
}

/** Letters hold no password, and a hosted registration without one is invalid. */
function passwordOf({ passwordFile, dryRun }: RedriveFlags, isHosted: boolean): string | undefined {
  if (!isHosted) {
    if (passwordFile === undefined) return undefined;
    throw new CliError(EXIT.usage, '--password-file is for IMSYNC_API=hosted only: leave it out.');
  }
  if (passwordFile !== undefined) return readTextFile(passwordFile).replace(/\r?\n$/, '');
  if (dryRun) return undefined;
  throw new CliError(
    EXIT.usage,
    'Letters hold no passwords, and a hosted registration needs one. Give --password-file FILE, or push the users again.',
  );
}
