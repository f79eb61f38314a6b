import type { RedisClient } from '../../redis/connect.ts';

/**
 * A killed worker's lock runs out after this, and the next look for stalled jobs brings its jobs back: together
 * well within the promised 15 s. A run that lost its lock does no harm: the record knows its owner.
 */
export const LOCK_MS = 6_000;
export const STALLED_CHECK_MS = 3_000;

/**
 * Keys of BullMQ that are to live for seconds live for an hour more when Redis's clock is set back by one: nobody
 * would look for stalled jobs meanwhile, and a dead worker's locks would stand. Such a key gets its time anew; of a
 * worker that lives it is renewed before that is over.
 */
export async function endOverlong(redis: RedisClient, key: string, lifeMs: number): Promise<void> {
  if ((await redis.pttl(key)) > 2 * lifeMs) await redis.pexpire(key, lifeMs);
}
