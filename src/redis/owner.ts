import { Cluster } from 'ioredis';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { loadScript, runScript } from './script.ts';

const infoScript = loadScript(import.meta.url, 'owner-info.lua');
const timeScript = loadScript(import.meta.url, 'owner-time.lua');

/**
 * Reads INFO from the server that holds the app's keys. On Cluster a command without a key goes to any node,
 * whose memory, role and clock may differ.
 */
export async function ownerInfo(redis: RedisClient, keys: Keys): Promise<string> {
  if (!(redis instanceof Cluster)) return redis.info();
  return String(await runScript(redis, infoScript, [keys.stream], []));
}

/** The clock of that server, in ms since 1970 with a fraction. */
export async function ownerTimeMs(redis: RedisClient, keys: Keys): Promise<number> {
  const reply =
    redis instanceof Cluster
      ? ((await runScript(redis, timeScript, [keys.stream], [])) as (string | number)[])
      : await redis.time();
  const [seconds = 0, micros = 0] = reply.map(Number);
  return seconds * 1_000 + micros / 1_000;
}

/**
 * Resolves if that server takes writes. A PING is not enough: a replica, a cluster without its primary and a
 * Redis with a full disk answer it. Full memory does not refuse this command. It changes nothing.
 */
export async function writeNothing(redis: RedisClient, keys: Keys): Promise<void> {
  await redis.hdel(keys.cutter, '');
}
