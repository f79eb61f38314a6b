import type { Config } from '../config/config.ts';
import type { CommandLimiter } from '../delivery/make-call.ts';
import type { DeliveryCommand, ImportCommand } from '../im/bodies.ts';
import { spacingMicros } from '../pace/budget.ts';
import { createHoldState, type HoldState } from '../pace/hold/hold-state.ts';
import { type HoldWatch, watchHold } from '../pace/hold/hold-watch.ts';
import { quotaOf } from '../pace/quotas.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient } from '../pace/slot.ts';
import { createSlotQueue, type SlotQueue } from '../pace/slot-queue.ts';
import type { Keys } from '../redis/keys.ts';
import type { Connections } from './connections.ts';

/** When this process may call: the fleet's hold, and a limiter for each command. */
export interface Pacing {
  readonly hold: HoldState;
  readonly watch: HoldWatch;
  readonly limiters: Readonly<Record<string, CommandLimiter>>;
  /** The checks' own. */
  readonly checkLimiter: CommandLimiter;
  /** Of all limiters. */
  readonly slotQueues: readonly { readonly command: DeliveryCommand; readonly slotQueue: SlotQueue }[];
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
  const limiterOf = (command: DeliveryCommand): CommandLimiter => {
    const slots = createSlotClient(redis, keys, command, clock, spacingMicros(quotaOf(config, command)));
    const slotQueue = createSlotQueue({
      slots,
      watch,
      onUnusedProbe: (slot) => hold.missed(slot),
      onTrouble: connections.log.trouble('asking for call slots'),
    });
    return { command, slots, slotQueue };
  };
  const limiters = Object.fromEntries(commands.map((command) => [command, limiterOf(command)]));
  const checkLimiter = limiterOf('account_check');
  const slotQueues = [...Object.values(limiters), checkLimiter];
  // Learns what Redis's clock says before the first slot: so it sees it, should that be set forward.
  await checkLimiter.slots.look();
  return { hold, watch, limiters, checkLimiter, slotQueues };
}
