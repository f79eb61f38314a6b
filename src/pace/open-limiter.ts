import type { Config } from '../config/config.ts';
import type { DeliveryCommand } from '../im/bodies.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { quotaOf, spacingMicros } from './budget.ts';
import { createRedisClock, type RedisClock } from './redis-clock.ts';
import { createSlotClient, type SlotClient } from './slot.ts';
import { SlotQueue, type SlotQueueOptions } from './slot-queue.ts';

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
export function openLimiter(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  command: DeliveryCommand,
  clock: RedisClock,
  queue: Omit<SlotQueueOptions, 'slots'>,
): CommandLimiter {
  const slots = openSlots(config, redis, keys, command, clock);
  return { command, slots, slotQueue: new SlotQueue({ slots, ...queue }) };
}
