import type { RedisClient } from '../../src/redis/connect.ts';

/** Keys whose name or content holds this text, whatever their type: where something is left of a user. */
export async function tracesOf(redis: RedisClient, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys('*')) {
    const content = JSON.stringify([key, await contentOf(redis, key)]);
    if (content.includes(text)) found.push(key);
  }
  return found.sort();
}

async function contentOf(redis: RedisClient, key: string): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return redis.get(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'hash':
      return redis.hgetall(key);
    case 'zset':
      return redis.zrange(key, '0', '-1', 'WITHSCORES');
    case 'stream':
      return redis.xrange(key, '-', '+');
    case 'set':
      return redis.smembers(key);
    default:
      // Gone meanwhile.
      return null;
  }
}
