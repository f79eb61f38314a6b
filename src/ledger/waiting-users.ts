import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { claimedUser } from './record.ts';

/** As many as account_check takes in one call (API reference, account_check). */
const MAX_USERS = 100;

/**
 * A call that stands open, with its users; undefined when none does. `random` (0 ≤ r < 1) chooses which, so that
 * one call whose users are of no use is not chosen for ever.
 */
export async function waitingUsers(
  redis: RedisClient,
  keys: Keys,
  random: number,
): Promise<{ callId: string; userIds: string[] } | undefined> {
  const open = await redis.zcard(keys.open);
  const [callId] = await redis.zrange(
    keys.open,
    String(Math.floor(random * open)),
    String(Math.floor(random * open)),
  );
  if (callId === undefined) return undefined;
  const packed = await redis.hget(keys.callPrefix + callId, 'entries');
  if (packed === null) return undefined;
  const entries = JSON.parse(packed) as string[][];
  const userIds = new Set(
    entries.map(([, ...fields]) => claimedUser(fields)).filter((userId) => userId !== ''),
  );
  return userIds.size === 0 ? undefined : { callId, userIds: [...userIds].slice(0, MAX_USERS) };
}
