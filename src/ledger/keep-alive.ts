import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const keepAliveScript = loadScript(import.meta.url, '../redis/prelude.lua', 'keep-alive.lua');

/** Says that these open calls are being worked on; of one that is closed or put off by now it says nothing. */
export async function keepCallsAlive(
  redis: RedisClient,
  keys: Keys,
  callIds: readonly string[],
): Promise<void> {
  await runScript(redis, keepAliveScript, [keys.open], callIds);
}
