import type { Config } from '../config/config.ts';
import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import { createHoldState, type HoldState } from '../pace/hold/hold-state.ts';
import { type HoldWatch, watchHold } from '../pace/hold/hold-watch.ts';
import { type CommandLimiter, openLimiter } from '../pace/open-limiter.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import type { Keys } from '../redis/keys.ts';
import type { Connections } from './connections.ts';

/** When this process may call: the fleet's hold, and a limiter for each command. */
export interface Pacing {
  readonly hold: HoldState;
  readonly watch: HoldWatch;
  readonly limiters: Readonly<Record<string, CommandLimiter>>;
  /** The limiter of account_check. */
  readonly checkLimiter: CommandLimiter;
  /** The queues of all limiters, that of account_check included. */
  readonly slotQueues: readonly Pick<CommandLimiter, 'command' | 'slotQueue'>[];
}

export async function openPacing(
  config: Config,
  connections: Pick<Connections, 'commands' | 'watch' | 'log'>,
  keys: Keys,
  commands: readonly ImportCommand[],
  clock = createRedisClock(),
): Promise<Pacing> {
  const redis = connections.commands;
  const watch = await watchHold(connections.watch, keys);
  const hold = createHoldState(redis, keys);
  const limiterOf = (command: DeliveryCommand): CommandLimiter =>
    openLimiter({
      ...{ config, redis, keys, command, clock, hold, watch },
      onTrouble: connections.log.trouble('asking for call slots'),
    });
  const limiters = Object.fromEntries(commands.map((command) => [command, limiterOf(command)]));
  const checkLimiter = limiterOf('account_check');
  const slotQueues = [...Object.values(limiters), checkLimiter];
  // The process learns the time of Redis's clock before its first slot. So it notices a clock set forward.
  await checkLimiter.slots.look();
  return { hold, watch, limiters, checkLimiter, slotQueues };
}
