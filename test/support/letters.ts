import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { createCallDriver } from './call-driver.ts';

/**
 * Dead letters the way they come about: events of users `<prefix>0`, `<prefix>1`, … that do not hold up are pushed,
 * cut and settled. Answers their event IDs, in order.
 */
export async function makeInvalidLetters(
  redis: RedisClient,
  keys: Keys,
  prefix: string,
  count: number,
  nick = 'Nick',
): Promise<string[]> {
  const driver = createCallDriver(redis, keys, () => Promise.reject(new Error('nothing is sent')));
  const eventIds: string[] = [];
  for (let from = 0; from < count; from += 1_000) {
    const pipeline = redis.pipeline();
    for (let i = from; i < Math.min(count, from + 1_000); i++)
      pipeline.xadd(keys.stream, '*', 'userId', `${prefix}${i}`, 'nick', nick, 'occurredAt', 'never');
    for (const [error, eventId] of (await pipeline.exec()) ?? []) {
      if (error) throw error;
      eventIds.push(String(eventId));
    }
    for (let calls = await driver.cut(); calls.length > 0; calls = await driver.cut())
      for (const { callId } of calls) await driver.run(callId);
  }
  return eventIds;
}
