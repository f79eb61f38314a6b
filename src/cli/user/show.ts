import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { requireForWorker } from '../../config/requirements.ts';
import { closeRedis, openRedis, type RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { redisSettings } from '../../redis/settings.ts';
import type { Presence } from '../../tasks/checks/account-checks.ts';
import { openAccountChecks } from '../../tasks/checks/open-account-checks.ts';
import { findUser } from '../../tasks/find-user.ts';
import { EXIT } from '../fail.ts';
import { readTextFile } from '../load-config.ts';
import { withRedis } from '../with-redis.ts';
import { userText } from './text.ts';

const HELP = `
Looks for the user in calls, in the intake and among the dead letters. If no event of theirs is on its way, the API is
asked whether the account exists (account_check, within its own quota); that needs the app's key or UserSig.

Exit codes: 0 the user was found, or the API knows that there is no account; 1 nothing is known of the user.

Examples:
  imsync user show alice
  imsync user show alice --json | jq -r .state`;

/** An answer takes some milliseconds; one that a quota keeps back is not waited for much longer. */
const ASK_MS = 10_000;

export function showUserCommand(): Command {
  return new Command('show')
    .description('where a user is: in a call, waiting, dead-lettered, imported')
    .argument('<user-id>', 'their user ID')
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

function askProblem(config: Config): string | undefined {
  if (config.api.form === 'hosted') return 'IMSYNC_API=hosted has no call for it';
  try {
    requireForWorker(config);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

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
        if (presence === undefined) throw new Error('the answer did not speak of this account');
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
