import type { Config, ReadFile } from '../config/config.ts';
import { createHoldState } from '../hold/hold-state.ts';
import { watchHold } from '../hold/hold-watch.ts';
import { openApi } from '../im/open-api.ts';
import { commandPair } from '../pace/budget.ts';
import { openLimiter, openSlots } from '../pace/open-limiter.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { CheckCaller, type CheckOptions } from './check-caller.ts';
import { checkUsers, type Presence } from './check-users.ts';

/**
 * Asks the API which accounts exist: account_check, at most 100 users a call. Each call takes a slot of
 * account_check's own budget. So it takes nothing from the imports, and obeys quota, throttle, pause and hold
 * with the whole fleet: while that is stopped, `ask` waits.
 *
 * It sets no hold, since an app may lack the permission to check and import all the same. A fault of the app
 * ends the checks while no call has succeeded yet; later ones are waited out, as the workers do. A fault that
 * follows one user, whatever it is, ends with the verdict `refused` for that user (check-users.ts).
 */
export interface AccountChecks {
  /**
   * Takes 1 to 100 distinct user IDs and resolves with a verdict for each. Rejects with ChecksRefusedError or
   * ChecksClosedError.
   */
  ask(userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>>;
  /** Sends nothing new; pending calls of `ask` reject. */
  close(): void;
}

export function createAccountChecks(options: CheckOptions): AccountChecks {
  const caller = new CheckCaller(options);
  return {
    ask: (userIds) => checkUsers(caller, userIds),
    close: () => caller.close(),
  };
}

/**
 * Opens account checks for a process that is no worker. The connections stay the caller's. Rejects when Redis
 * does not answer. Throws a RangeError in hosted mode, whose form has no account_check that this project
 * knows.
 */
export async function openAccountChecks(
  options: Pick<CheckOptions, 'slotClass' | 'maxFailures' | 'report'> & {
    readonly config: Config;
    readonly readFile: ReadFile;
    readonly redis: RedisClient;
    /** A connection that subscribes to the news of holds and pauses, and does nothing else. */
    readonly subscriber: RedisClient;
    readonly keys: Keys;
    /** Redis does not answer. */
    readonly onTrouble: (error: Error) => void;
  },
): Promise<AccountChecks> {
  const { config, readFile, redis, subscriber, keys, slotClass, maxFailures, report, onTrouble } = options;
  if (config.api.form === 'hosted') throw new RangeError('the hosted form has no account_check');
  const clock = createRedisClock();
  const watch = await watchHold(subscriber, keys);
  const hold = createHoldState(redis, keys);
  const { client, signAnew } = openApi(config, readFile);
  const { batch, single } = commandPair(config.api.form);
  const { ask, close } = createAccountChecks({
    ...{ client, watch, slotClass, signAnew, maxFailures, report, random: Math.random },
    limiter: openLimiter({ config, redis, keys, command: 'account_check', clock, hold, watch, onTrouble }),
    otherSlots: [batch, single].map((command) => openSlots(config, redis, keys, command, clock)),
    overrides: config.verdicts,
  });
  return {
    ask,
    close() {
      close();
      // Nobody needs the answer of a check that is still on the wire.
      client.close();
    },
  };
}
