import type { Config } from '../config/config.ts';
import type { ReadFile } from '../config/read-file.ts';
import { waitUntil } from '../lifecycle/wait-until.ts';
import { openSlots } from '../pace/open-limiter.ts';
import { withoutRecord } from '../pace/slot.ts';
import { closeRedis, openRedis, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';

const REACH_MS = 1_000;
const PATIENCE_MS = 3_000;

/**
 * Waits for a slot of account_check, so that the doctor's one call stays within the fleet's quota. When Redis
 * cannot grant a slot, the call goes without one. It also does when the fleet is stopped: then no worker
 * calls, and the user wants to know how the API answers. Never rejects.
 */
export async function waitForProbeSlot(config: Config, readFile: ReadFile): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  let redis: ReturnType<typeof openRedis> | undefined;
  try {
    redis = openRedis(redisSettings(config, readFile), 'oneshot', 'doctor', () => undefined);
    await whenReady(redis, REACH_MS);
    const slots = openSlots(config, redis, keysOf(config.app.sdkAppId), 'account_check');
    while (performance.now() < giveUpAtMs) {
      const answer = await slots.ask([withoutRecord('live')]);
      if (answer.kind === 'slot') return await waitUntil(answer.slot.atLocalMs);
      if (answer.kind !== 'later') return;
      await waitUntil(Math.min(giveUpAtMs, performance.now() + answer.waitMs));
    }
  } catch {
    // The findings about Redis say what is wrong with it.
  } finally {
    if (redis !== undefined) await closeRedis(redis);
  }
}
