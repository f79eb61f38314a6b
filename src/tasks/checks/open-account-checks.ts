import type { Config, ReadFile } from '../../config/config.ts';
import { openApi } from '../../im/open-api.ts';
import { commandPair, type SlotClass } from '../../pace/budget.ts';
import { createHoldState } from '../../pace/hold/hold-state.ts';
import { watchHold } from '../../pace/hold/hold-watch.ts';
import { openLimiter, openSlots } from '../../pace/open-limiter.ts';
import { createRedisClock } from '../../pace/redis-clock.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { type AccountChecks, createAccountChecks } from './account-checks.ts';
import type { AccountChecksReport } from './check-call.ts';

/**
 * Opens account checks for a process that is no worker. The connections stay the caller's. Rejects when Redis
 * does not answer. Throws a RangeError in hosted mode, whose form has no account_check that this project
 * knows.
 */
export async function openAccountChecks(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly redis: RedisClient;
  /** A connection that subscribes to the news of holds and pauses, and does nothing else. */
  readonly subscriber: RedisClient;
  readonly keys: Keys;
  readonly slotClass: SlotClass;
  readonly maxFailures?: number;
  readonly report: AccountChecksReport;
  /** Redis does not answer. */
  readonly onTrouble: (error: Error) => void;
}): Promise<AccountChecks> {
  const { config, readFile, redis, subscriber, keys, slotClass, maxFailures, report, onTrouble } = options;
  if (config.api.form === 'hosted') throw new RangeError('the hosted form has no account_check');
  const clock = createRedisClock();
  const watch = await watchHold(subscriber, keys);
  const hold = createHoldState(redis, keys);
  const { client, signAnew } = openApi(config, readFile);
  const { batch, single } = commandPair(config.api.form);
  const checks = createAccountChecks({
    client,
    limiter: openLimiter({ config, redis, keys, command: 'account_check', clock, hold, watch, onTrouble }),
    watch,
    slotClass,
    otherSlots: [batch, single].map((command) => openSlots(config, redis, keys, command, clock)),
    overrides: config.verdicts,
    signAnew,
    ...(maxFailures !== undefined && { maxFailures }),
    random: Math.random,
    report,
  });
  return {
    ask: (userIds) => checks.ask(userIds),
    close() {
      checks.close();
      // Nobody needs the answer of a check that is still on the wire.
      client.abort();
    },
  };
}
