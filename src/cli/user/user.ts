import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForWorker } from '../../config/requirements.ts';
import { closeRedis, openRedis, type RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import { openAccountChecks, type Presence } from '../../tasks/account-checks.ts';
import { findUser } from '../../tasks/find-user.ts';
import { EXIT } from '../fail.ts';
import { readTextFile } from '../load-config.ts';
import { withRedis } from '../with-redis.ts';
import { forgetCommand } from './forget.ts';
import { userText } from './text.ts';

export function userCommand(): Command {
  const user = new Command('user')
    .description('find one user, or erase one')
    .addHelpText('after', '\nExamples:\n  imsync user show alice\n  imsync user forget alice --dry-run');
  for (const command of [showCommand(), forgetCommand()]) user.addCommand(command);
  return user;
}

const HELP = `
Looks for the user in calls, in the intake and in the dead letters. If no event of the user is waiting or in a call, it
asks the API whether the account exists (account_check, within its own quota). That needs the app's key or UserSig.

Exit codes: 0 the user was found, or the API says that there is no account; 1 nothing is known of the user.

Examples:
  imsync user show alice
  imsync user show alice --json | jq -r .state`;

/** An answer takes some milliseconds. A check that waits for the quota gets this long. */
const ASK_MS = 10_000;

function showCommand(): Command {
  return new Command('show')
    .description('show where a user is: in a call, waiting, dead-lettered or imported')
    .argument('<user-id>', 'the ID of the user')
    .option('--no-api', 'do not ask the API')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(async (userId: string, flags: { api: boolean; json?: boolean }, self: Command) => {
      const report = await withRedis(self, ({ config, redis, keys }) => {
        const whyNot = flags.api ? askProblem(config) : '--no-api was given';
        return findUser({
          redis,
          keys,
          userId,
          ...(whyNot === undefined ? { askApi: askOnce(config, redis, keys) } : { whyNot }),
        });
      });
      process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : userText(report, Date.now()));
      if (report.state === 'unknown') process.exitCode = EXIT.failed;
    });
}

/** Why the API cannot be asked; undefined when it can. */
function askProblem(config: Config): string | undefined {
  if (config.api.form === 'hosted') return 'IMSYNC_API=hosted has no call that checks an account';
  try {
    requireForWorker(config);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Asks the API for one account, and then closes what that needed. */
function askOnce(config: Config, redis: RedisClient, keys: Keys): (userId: string) => Promise<Presence> {
  return async (userId) => {
    const subscriber = openRedis(
      redisSettings(config, readTextFile),
      'loop',
      'user-show-watch',
      () => undefined,
    );
    let timer: NodeJS.Timeout | undefined;
    try {
      const checks = await openAccountChecks({
        config,
        readFile: readTextFile,
        redis,
        subscriber,
        keys,
        slotClass: 'live',
        maxFailures: 2,
        report: { again() {}, answered() {} },
        onTrouble: () => undefined,
      });
      const tooLong = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${ASK_MS / 1_000} s`)), ASK_MS);
      });
      const asked = checks.ask([userId]);
      try {
        const presence = (await Promise.race([asked, tooLong])).get(userId);
        if (presence === undefined) throw new Error('the answer does not name this account');
        return presence;
      } finally {
        asked.catch(() => undefined);
        checks.close();
      }
    } finally {
      clearTimeout(timer);
      await closeRedis(subscriber);
    }
  };
}
