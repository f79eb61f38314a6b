import type { RedisClient } from '../redis/connect.ts';
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
export async function readRedisFacts(redis: RedisClient): Promise<RedisFacts> {
  const startedMs = performance.now();
  const [seconds, micros] = (await redis.time()).map(Number);
  const roundTripMs = performance.now() - startedMs;
  const redisMs = 1_000 * Number(seconds) + Number(micros) / 1_000;
  const clockAheadMs = redisMs - (Date.now() - roundTripMs / 2);
  return { ...parseRedisFacts(await redis.info()), roundTripMs, clockAheadMs };
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
