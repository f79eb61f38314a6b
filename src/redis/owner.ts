import { Cluster } from 'ioredis';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { fieldsOf } from './script.ts';

/**
 * Questions to the server that holds the app's keys. On Cluster a command without a key goes to any node,
 * whose memory, role and clock may differ; so a script asks there, at a key that never exists.
 */
const ASK = 'return redis.call(ARGV[1])';

/** How a Redis refuses a command to a user, also within a script. Some managed ones do not know it at all. */
const REFUSED = /NOPERM|no permissions|can't run this command|ACL failure|unknown( Redis)? command/i;

/** INFO; where the Redis user may not ask it, the little that HELLO tells everybody, or ''. */
export async function ownerInfo(redis: RedisClient, keys: Keys): Promise<string> {
  try {
    if (!(redis instanceof Cluster)) return await redis.info();
    return String(await redis.eval(ASK, 1, keys.server, 'INFO'));
  } catch (error) {
    if (!REFUSED.test((error as Error).message)) throw error;
    return greeting(redis).catch(() => '');
  }
}

/** What HELLO tells, in the words of INFO. On Cluster any node answers, so that its role says nothing. */
async function greeting(redis: RedisClient): Promise<string> {
  const told = fieldsOf((await redis.call('HELLO')) as string[]);
  const role = told.role === 'replica' ? 'slave' : told.role;
  return [`redis_version:${told.version}`, ...(redis instanceof Cluster ? [] : [`role:${role}`])].join('\n');
}

/** The value of a field of INFO; '' if it is missing. */
export function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}

/** The server's clock, in ms since 1970 with a fraction. */
export async function ownerTimeMs(redis: RedisClient, keys: Keys): Promise<number> {
  const reply =
    redis instanceof Cluster
      ? ((await redis.eval(ASK, 1, keys.server, 'TIME')) as (string | number)[])
      : await redis.time();
  const [seconds = 0, micros = 0] = reply.map(Number);
  return seconds * 1_000 + micros / 1_000;
}

/**
 * Resolves if the server takes writes. A PING is not enough: a replica, a cluster without its primary and a
 * Redis with a full disk answer it. Full memory does not refuse this command. It changes nothing.
 */
export async function writeNothing(redis: RedisClient, keys: Keys): Promise<void> {
  await redis.hdel(keys.server, '');
}

const SCAN = "return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', ARGV[4])";

/** One step of SCAN there: keys of a type, and the cursor of the next step; `0` ends it. */
export async function ownerScan(
  redis: RedisClient,
  keys: Keys,
  step: { readonly cursor: string; readonly match: string; readonly count: number; readonly type: string },
): Promise<{ readonly cursor: string; readonly found: readonly string[] }> {
  const { cursor, match, count, type } = step;
  const [next, found] =
    redis instanceof Cluster
      ? ((await redis.eval(SCAN, 1, keys.server, cursor, match, count, type)) as [string, string[]])
      : await redis.scan(cursor, 'MATCH', match, 'COUNT', count, 'TYPE', type);
  return { cursor: String(next), found };
}
