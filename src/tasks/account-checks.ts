import type { Config, ReadFile } from '../config/config.ts';
import { createHoldState } from '../hold/hold-state.ts';
import { watchHold } from '../hold/hold-watch.ts';
import { openApi } from '../im/open-api.ts';
import { commandPair } from '../pace/budget.ts';
import { openLimiter, openSlots } from '../pace/open-limiter.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { CheckOptions } from './check-caller.ts';
import { AccountChecks } from './check-users.ts';

/**
 * Opens account checks for a process that is no worker. The connections stay the caller's. Rejects when Redis
 * does not answer. Throws a RangeError in hosted mode, whose form has no account_check that this project
 * knows.
 */
export async function openAccountChecks(
  options: AppRedis &
    Pick<CheckOptions, 'slotClass' | 'maxFailures' | 'report'> & {
      readonly config: Config;
      readonly readFile: ReadFile;
      /** A connection that subscribes to the news of holds and pauses, and does nothing else. */
      readonly subscriber: RedisClient;
      /** Redis does not answer. */
      readonly onTrouble: (error: Error) => void;
    },
): Promise<AccountChecks> {
  const { config, readFile, redis, subscriber, keys, slotClass, maxFailures, report, onTrouble } = options;
  if (config.api.form === 'hosted') throw new RangeError('the hosted form has no account_check');
  const clock = createRedisClock();
  const watch = await watchHold(subscriber, keys);
  const onUnusedProbe = createHoldState(redis, keys).missed;
  const { client, signAnew } = openApi(config, readFile);
  const { batch, single } = commandPair(config.api.form);
  return new AccountChecks({
    ...{ client, watch, slotClass, signAnew, maxFailures, report, random: Math.random },
    limiter: openLimiter(config, redis, keys, 'account_check', clock, { watch, onUnusedProbe, onTrouble }),
    otherSlots: [batch, single].map((command) => openSlots(config, redis, keys, command, clock)),
    overrides: config.verdicts,
  });
}
