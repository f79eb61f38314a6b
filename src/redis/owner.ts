import { Cluster } from 'ioredis';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { loadScript, runScript } from './script.ts';

/**
 * Questions about a server go to the one that holds this app's keys. On Cluster a command without a key goes to
 * any node: its memory, its role and its clock say nothing about ours.
 */

const infoScript = loadScript(import.meta.url, 'owner-info.lua');
const timeScript = loadScript(import.meta.url, 'owner-time.lua');

/** The text of INFO. */
export async function ownerInfo(redis: RedisClient, keys: Keys): Promise<string> {
  if (!(redis instanceof Cluster)) return redis.info();
  return String(await runScript(redis, infoScript, [keys.stream], []));
}

/** Redis's clock, ms since 1970, with a fraction. */
export async function ownerTimeMs(redis: RedisClient, keys: Keys): Promise<number> {
  const reply =
    redis instanceof Cluster
      ? ((await runScript(redis, timeScript, [keys.stream], [])) as (string | number)[])
      : await redis.time();
  const [seconds = 0, micros = 0] = reply.map(Number);
  return seconds * 1_000 + micros / 1_000;
}

/**
 * Resolves when that server takes writes: a replica, a cluster without its primary or a full disk answers a PING
 * and is of no use. A full memory does not refuse this. Nothing is changed.
 */
export async function writeNothing(redis: RedisClient, keys: Keys): Promise<void> {
  await redis.hdel(keys.cutter, '');
}
