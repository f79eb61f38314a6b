import type { AppRedis } from '../redis/keys.ts';
import { claimedUser, entriesOf, readSuspects, type Suspicion } from './record.ts';

/** A user who is called alone, since their calls fail while those of others pass. */
export interface Suspect extends Suspicion {
  readonly userId: string;
  readonly callId: string;
}

/** Some of the suspects, of the calls that are due next. `limit`: calls that are looked at, at most. */
export async function listSuspects({ redis, keys }: AppRedis, limit: number): Promise<Suspect[]> {
  const callIds = await redis.zrange(keys.isolated, '0', String(limit - 1));
  const suspects = await Promise.all(
    callIds.map(async (callId): Promise<Suspect[]> => {
      const found = readSuspects(await redis.hget(keys.callPrefix + callId, 'suspects'));
      return [...found].map(([userId, suspicion]) => ({ userId, callId, ...suspicion }));
    }),
  );
  return suspects.flat();
}

/** As many as account_check takes in one call (API reference, account_check). */
const MAX_USERS = 100;

/**
 * The record of a call that stands open, with its users; undefined when none does. `random` (0 ≤ r < 1)
 * chooses which, so that one call whose users are of no use is not chosen for ever.
 */
export async function waitingUsers(
  { redis, keys }: AppRedis,
  random: number,
): Promise<{ recordKey: string; userIds: string[] } | undefined> {
  const at = String(Math.floor(random * (await redis.zcard(keys.open))));
  const [callId] = await redis.zrange(keys.open, at, at);
  if (callId === undefined) return undefined;
  const recordKey = keys.callPrefix + callId;
  const packed = await redis.hget(recordKey, 'entries');
  if (packed === null) return undefined;
  const userIds = new Set(entriesOf({ packed }).map(({ fields }) => claimedUser(fields)));
  userIds.delete('');
  return userIds.size === 0 ? undefined : { recordKey, userIds: [...userIds].slice(0, MAX_USERS) };
}
