import type { Config } from '../config/config.ts';
import type { HoldState } from '../hold/hold-state.ts';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { DeliveryCommand } from '../im/bodies.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { quotaOf, spacingMicros } from './budget.ts';
import { createRedisClock, type RedisClock } from './redis-clock.ts';
import { createSlotClient, type SlotClient } from './slot.ts';
import { SlotQueue } from './slot-queue.ts';

/** The rate limit of one command in this process: the fleet's budget, and the calls that wait for it. */
export interface CommandLimiter {
  readonly command: DeliveryCommand;
  readonly slots: SlotClient;
  /** What callers see of the queue. */
  readonly slotQueue: Pick<SlotQueue, keyof SlotQueue>;
}

/** The fleet's budget of one command, by the configured quota. Asks Redis; makes no call wait. */
export function openSlots(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  command: DeliveryCommand,
  clock: RedisClock = createRedisClock(),
): SlotClient {
  return createSlotClient(redis, keys, command, clock, spacingMicros(quotaOf(config, command)));
}

/** The limiter of one command, by the configured quota. The caller closes `slotQueue`. */
export function openLimiter(options: {
  readonly config: Config;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly command: DeliveryCommand;
  readonly clock: RedisClock;
  readonly hold: HoldState;
  readonly watch: HoldWatch;
  /** Redis did not answer a question for slots; it is asked again. */
  readonly onTrouble: (error: Error) => void;
}): CommandLimiter {
  const { config, redis, keys, command, clock, hold, watch, onTrouble } = options;
  const slots = openSlots(config, redis, keys, command, clock);
  const slotQueue = new SlotQueue({ slots, watch, onUnusedProbe: hold.missed, onTrouble });
  return { command, slots, slotQueue };
}
