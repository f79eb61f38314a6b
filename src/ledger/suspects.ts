import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { readSuspects, type Suspicion } from './record.ts';

/** A user who is called alone, since their calls fail while those of others pass. */
export interface Suspect extends Suspicion {
  readonly userId: string;
  readonly callId: string;
}

/** Some of the suspects, of the calls that are due next. `limit`: calls that are looked at, at most. */
export async function listSuspects(redis: RedisClient, keys: Keys, limit: number): Promise<Suspect[]> {
  const callIds = await redis.zrange(keys.isolated, '0', String(limit - 1));
  const suspects = await Promise.all(
    callIds.map(async (callId): Promise<Suspect[]> => {
      const found = readSuspects(await redis.hget(keys.callPrefix + callId, 'suspects'));
      return [...found].map(([userId, suspicion]) => ({ userId, callId, ...suspicion }));
    }),
  );
  return suspects.flat();
}
