import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const proofScript = loadScript(import.meta.url, '../redis/prelude.lua', 'check-balance.lua');

/** Beyond this the proof would keep Redis from others; back-pressure keeps far fewer open. */
const MAX_OPEN = 20_000;

/**
 * Events that the books count in calls, less those that the open calls hold. 0, or there is a bug of ours: above 0
 * a record is orphaned, which nothing would ever work on.
 */
export async function unaccountedEvents(redis: RedisClient, keys: Keys): Promise<number> {
  const reply = await runScript(redis, proofScript, [keys.open, keys.books], [keys.callPrefix, MAX_OPEN]);
  return Number(reply);
}
