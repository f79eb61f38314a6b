import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { type ForgetReport, forgetUser } from '../../tasks/forget-user.ts';
import { isConfirmed } from '../confirm.ts';
import { readAge } from '../dlq/filter.ts';
import { CliError, EXIT } from '../fail.ts';
import { withRedis } from '../with-redis.ts';

interface ForgetFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly wait: number;
  readonly json?: boolean;
}

const HELP = `
Erases what Redis holds of a user: events on their way, dead letters, entries of the stream of outcomes. Asks first.
Events that are erased count as dead-lettered from then on, and as forgotten (imsync status), so that the books balance.
A call that is on the wire is waited for; others in the same call are not harmed. The whole stream is read, at about
100,000 events a second.

What it cannot reach it names: the account at the API, your own database, Redis's files and backups, logs.

Exit codes: 0 nothing of the user is left in Redis; 1 something is left, and it says what to do.

Examples:
  imsync user forget alice --dry-run
  imsync user forget alice
  imsync user forget alice --yes --json`;

export function forgetCommand(): Command {
  return new Command('forget')
    .description('erase a user from Redis, and say what was found')
    .argument('<user-id>', 'their user ID')
    .option('--dry-run', 'say what would be erased; change nothing')
    .option('--yes', 'do not ask')
    .option('--wait <time>', 'wait so long for a call that is on the wire', readAge, 30_000)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(async (userId: string, flags: ForgetFlags, self: Command) => {
      if (userId === '') throw new CliError(EXIT.usage, 'an empty user ID names nobody: nothing was erased');
      if (!flags.yes && !flags.dryRun && !process.stdin.isTTY)
        throw new CliError(
          EXIT.usage,
          'forget asks first, and there is no terminal to ask on: add --yes if you mean it, or --dry-run. Nothing was erased',
        );
      const report = await withRedis(self, async ({ redis, keys }) => {
        const question = `Erase everything that Redis holds of ${JSON.stringify(userId)}? There is no way back.`;
        if (!flags.yes && !flags.dryRun && !(await isConfirmed(question))) return undefined;
        let told = false;
        return forgetUser({
          redis,
          keys,
          userId,
          dryRun: flags.dryRun === true,
          maxWaitMs: flags.wait,
          sleep,
          onWaiting: () => {
            if (!told) process.stderr.write('their call is on the wire: waiting for its answer\n');
            told = true;
          },
        });
      });
      if (report === undefined) {
        process.stdout.write('nothing was erased\n');
        return;
      }
      process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : forgetText(report));
      if (!report.complete && !report.dryRun) process.exitCode = EXIT.failed;
    });
}

const PLACES = {
  stream: 'events in the stream',
  returned: 'events at the front of the intake',
  parked: "events behind the user's call",
  inCalls: 'events in a call',
  letters: 'dead letters',
  outcomes: 'entries of the stream of outcomes',
} as const;

/** The report for a person. Pure. */
export function forgetText({ userId, dryRun, erased, left, elsewhere }: ForgetReport): string {
  const found = Object.entries(PLACES).filter(([place]) => erased[place as keyof typeof PLACES] > 0);
  const name = JSON.stringify(userId);
  const lines = [
    found.length === 0
      ? `nothing of ${name} was found in Redis`
      : `${dryRun ? 'would erase' : 'erased'}, of ${name}:`,
    ...found.map(([place, words]) => `  ${erased[place as keyof typeof PLACES]} ${words}`),
    ...left.map((sentence) => `left: ${sentence}`),
    'not in reach:',
    ...elsewhere.map((sentence) => `  ${sentence}`),
  ];
  return `${lines.join('\n')}\n`;
}
