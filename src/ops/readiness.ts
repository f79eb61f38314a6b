import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerInfo } from '../redis/owner.ts';
import { parseServerFacts, redisProblems, writeProblems } from '../redis/requirements.ts';

/**
 * Why an event could not be accepted now, in sentences; [] when it can: Redis answers, takes writes and keeps
 * them. A hold or a pause is no reason: events are accepted and wait.
 */
export async function readinessProblems(
  redis: RedisClient,
  keys: Keys,
  allowVolatile: boolean,
): Promise<readonly string[]> {
  const info = await ownerInfo(redis, keys);
  return [...writeProblems(info), ...redisProblems(parseServerFacts(info), allowVolatile)];
}
