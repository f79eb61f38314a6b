import type { Config } from '../config/config.ts';
import { createHoldState } from '../hold/hold-state.ts';
import { watchHold } from '../hold/hold-watch.ts';
import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import { commandPair, quotaOf, ratePerSecond } from '../pace/budget.ts';
import { type CommandLimiter, openLimiter } from '../pace/open-limiter.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import type { Keys } from '../redis/keys.ts';
import type { Connections } from './connections.ts';

/** Seconds of budget that may stand open as calls, over the fleet. Beyond that, events wait in the stream. */
const OPEN_SECONDS = 2;
/** As many as may stand open, so that no new call waits for a worker while others are split or resolved. */
const CONCURRENCY = { atLeast: 8, atMost: 200 };
/**
 * Users in a record of hosted mode, where each has a call of their own: enough to make jobs cheap, few enough
 * to leave little behind when a worker dies.
 */
const HOSTED_RECORD_USERS = 20;

/** How much this worker takes on, by its configuration. */
export type Capacity = ReturnType<typeof capacityOf>;

export function capacityOf(config: Config) {
  const { batch, single } = commandPair(config.api.form);
  const isHosted = config.api.form === 'hosted';
  const callsInRecord = isHosted ? HOSTED_RECORD_USERS : 1;
  const quota = (command: ImportCommand) => quotaOf(config, command);
  const openRecords = (command: ImportCommand): number =>
    Math.ceil((OPEN_SECONDS * ratePerSecond(quota(command))) / callsInRecord);
  return {
    ...{ batch, single, quota },
    /** The commands that carry events, each once. */
    commands: [...new Set<ImportCommand>([batch, single])] as const,
    usersInRecord: isHosted ? HOSTED_RECORD_USERS : config.batch.maxSize,
    /** Records that may stand open, over the fleet. */
    openRecords,
    /** Jobs that this process works on at a time. The batch command has as many local calls besides. */
    concurrency: (command: ImportCommand): number =>
      Math.min(CONCURRENCY.atMost, Math.max(CONCURRENCY.atLeast, openRecords(command))),
  };
}

/** When this process may call: the fleet's hold, and a limiter for each command. */
export type Pacing = Awaited<ReturnType<typeof openPacing>>;

export async function openPacing(
  config: Config,
  connections: Pick<Connections, 'commands' | 'watch' | 'log'>,
  keys: Keys,
  commands: readonly ImportCommand[],
  clock = createRedisClock(),
) {
  const redis = connections.commands;
  const watch = await watchHold(connections.watch, keys);
  const hold = createHoldState(redis, keys);
  const limiterOf = (command: DeliveryCommand): CommandLimiter =>
    openLimiter(config, redis, keys, command, clock, {
      ...{ watch, onUnusedProbe: hold.missed },
      onTrouble: connections.log.trouble('asking for call slots'),
    });
  const limiters = Object.fromEntries(commands.map((command) => [command, limiterOf(command)]));
  const checkLimiter = limiterOf('account_check');
  /** For all commands, account_check included. */
  const slotQueues = [...Object.values(limiters), checkLimiter];
  // The process learns the time of Redis's clock before its first slot. So it notices a clock set forward.
  await checkLimiter.slots.look();
  return { hold, watch, limiters, checkLimiter, slotQueues };
}
