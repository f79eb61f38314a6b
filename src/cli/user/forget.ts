import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Config } from '../../config/config.ts';
import { shownAddress } from '../../config/database-url.ts';
import { databaseAdvice, reasonOf } from '../../database/database.ts';
import { openDatabase } from '../../database/open-database.ts';
import { databaseSettings } from '../../database/settings.ts';
import { printableJson } from '../../ops/feed/record.ts';
import { type ForgottenRows, forgetRows } from '../../relay/forget-rows.ts';
import { type ForgetReport, forgetUser, forgottenText } from '../../tasks/forget-user.ts';
import { addAsOption, noteAct } from '../activity.ts';
import { readTextFile, withRedis } from '../context.ts';
import { readAge } from '../dlq/filter.ts';
import { CliError, EXIT } from '../fail.ts';
import { counted, printResult } from '../format.ts';
import { isConfirmed } from '../terminal.ts';

interface ForgetFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly wait: number;
  readonly json?: boolean;
  readonly as?: string;
}

const HELP = `
Erases what Redis holds of a user: waiting events, events in calls, dead letters, and entries of the outcomes stream.
Asks for confirmation. Erased events count as dead-lettered and as forgotten (imsync status), so that the totals still
balance. With IMSYNC_DATABASE_URL rows of the outbox and its archive are erased, too. A call that is on the wire is waited for; the other users in it are not affected. The whole stream is read, at
about 100,000 events per second.

The report names what this command cannot reach: the account at the API, your own database, Redis's files and backups,
and logs.

Exit codes: 0 Redis holds nothing of the user any more; 1 something is left, and the report says what to do.

Examples:
  imsync user forget alice --dry-run
  imsync user forget alice
  imsync user forget alice --yes --json`;

export function forgetCommand(): Command {
  const command = new Command('forget')
    .description('erase a user from Redis, and report what was found')
    .argument('<user-id>', 'the ID of the user')
    .option('--dry-run', 'only report what would be erased')
    .option('--yes', 'do not ask for confirmation')
    .addOption(
      new Option('--wait <time>', 'wait at most this long for a call that is on the wire')
        .argParser(readAge)
        .default(30_000, '30s'),
    )
    .option('--json', 'print one JSON object');
  return addAsOption(command)
    .addHelpText('after', HELP)
    .action(async (userId: string, flags: ForgetFlags, self: Command) => {
      if (userId === '') throw new CliError(EXIT.usage, 'The user ID is empty. Nothing was erased.');
      const question = `Erase everything that Redis holds of ${printableJson(userId)}? This cannot be undone.`;
      const otherwise = ', or --dry-run. Nothing was erased.';
      if (!flags.yes && !flags.dryRun && !(await isConfirmed(question, 'forget', otherwise))) {
        process.stdout.write('nothing was erased\n');
        return;
      }
      let told = false;
      const report = await withRedis(self, async ({ redis, keys, config }) => {
        // First the rows: the relay would bring one to Redis again.
        const database = await rowsForgotten(config, userId, flags.dryRun === true);
        const found = await forgetUser({
          redis,
          keys,
          userId,
          dryRun: flags.dryRun === true,
          maxWaitMs: flags.wait,
          sleep,
          onWaiting: () => {
            if (!told) process.stderr.write('the call of the user is on the wire: waiting for its answer\n');
            told = true;
          },
        });
        if (!found.dryRun) await noteAct(redis, keys, 'forget', flags.as, forgottenText(found));
        const elsewhere = database === null ? [...found.elsewhere, OUTBOX_ELSEWHERE] : found.elsewhere;
        return { ...found, elsewhere, database };
      });
      printResult(flags.json, report, forgetText(report));
      if (!report.complete && !report.dryRun) process.exitCode = EXIT.failed;
    });
}

/** For those who have an outbox, when no database is configured here. */
const OUTBOX_ELSEWHERE =
  'rows of an outbox: set IMSYNC_DATABASE_URL for this command, or DELETE … WHERE user_id = … in imsync_outbox and imsync_outbox_archive';

/** Erases the user's rows of the outbox; null if no database is configured. */
async function rowsForgotten(config: Config, userId: string, dryRun: boolean): Promise<ForgottenRows | null> {
  if (config.database.url === '' && config.database.urlFile === '') return null;
  const settings = databaseSettings(config, readTextFile);
  const failed = (error: Error): CliError =>
    new CliError(
      EXIT.outOfReach,
      `The rows of the outbox in ${shownAddress(settings)} cannot be erased: ${reasonOf(error)}. ${databaseAdvice(error)} Nothing was erased.`,
    );
  const session = await openDatabase(settings).catch((error: Error) => {
    throw failed(error);
  });
  try {
    return await forgetRows(session, config.relay.table, userId, dryRun).catch((error: Error) => {
      throw failed(error);
    });
  } finally {
    await session.close();
  }
}

/** What is counted in each place, and the words for the place. */
const PLACES: Readonly<Record<keyof ForgetReport['erased'], readonly [noun: string, place: string]>> = {
  stream: ['event', ' in the stream'],
  returned: ['event', ' at the front of the intake'],
  parked: ['event', ", parked behind the user's call"],
  inCalls: ['event', ' in a call'],
  letters: ['dead letter', ''],
  outcomes: ['outcome', ' in the outcomes stream'],
};

type CommandReport = ForgetReport & { readonly database: ForgottenRows | null };

function forgetText({ userId, dryRun, erased, left, elsewhere, database }: CommandReport): string {
  const found = Object.entries(erased).filter(([, count]) => count > 0);
  const name = printableJson(userId);
  const lines = [
    found.length === 0
      ? `nothing of ${name} was found in Redis`
      : `${dryRun ? 'would erase' : 'erased'} from Redis, of user ${name}:`,
    ...found.map(([key, count]) => {
      const [noun, place] = PLACES[key as keyof typeof PLACES];
      return `  ${counted(count, noun)}${place}`;
    }),
    ...(database === null
      ? []
      : [
          `${dryRun ? 'would erase' : 'erased'} from the database: ${counted(database.outbox, 'row')} of the outbox, ${counted(database.archive, 'row')} of its archive`,
        ]),
    ...left.map((sentence) => `left: ${sentence}`),
    'this command cannot reach:',
    ...elsewhere.map((sentence) => `  ${sentence}`),
  ];
  return `${lines.join('\n')}\n`;
}
