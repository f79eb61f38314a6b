import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerInfo, ownerTimeMs } from '../redis/owner.ts';
import { parseServerFacts, type ServerFacts } from '../redis/requirements.ts';

/** What the doctor wants to know of a Redis, beyond what a start depends on. */
export interface RedisFacts extends ServerFacts {
  /** `master`, or `slave` for a replica. */
  readonly role: string;
  /** False when the last write to the append-only file failed. */
  readonly aofWritable: boolean;
  /** Memory of the machine; 0 when Redis does not say. */
  readonly systemMemoryBytes: number;
  readonly roundTripMs: number;
  /** Redis's clock less ours, in ms; off by half of the round trip at most. */
  readonly clockAheadMs: number;
}

/** Two commands. Rejects with Redis's own error, e.g. when its ACL forbids INFO. */
export async function readRedisFacts(redis: RedisClient, keys: Keys): Promise<RedisFacts> {
  const startedMs = performance.now();
  const redisMs = await ownerTimeMs(redis, keys);
  const roundTripMs = performance.now() - startedMs;
  const clockAheadMs = redisMs - (Date.now() - roundTripMs / 2);
  return { ...parseRedisFacts(await ownerInfo(redis, keys)), roundTripMs, clockAheadMs };
}

export function parseRedisFacts(info: string): Omit<RedisFacts, 'roundTripMs' | 'clockAheadMs'> {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  return {
    ...parseServerFacts(info),
    role: field('role'),
    aofWritable: field('aof_last_write_status') !== 'err',
    systemMemoryBytes: Number(field('total_system_memory') || 0),
  };
}
