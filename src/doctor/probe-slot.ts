import type { Config } from '../config/config.ts';
import type { ReadFile } from '../config/read-file.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import { spacingMicros } from '../pace/budget.ts';
import { quotaOf } from '../pace/quotas.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient, withoutRecord } from '../pace/slot.ts';
import { closeRedis, openRedis, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';

const REACH_MS = 1_000;
const PATIENCE_MS = 3_000;

/**
 * Waits for a slot of account_check, so that the doctor's one call keeps within the fleet's quota. It goes without
 * one when Redis cannot grant it, or when the fleet is stopped: then nobody else calls, and how the API answers is
 * what one wants to know. Never rejects.
 */
export async function waitForProbeSlot(config: Config, readFile: ReadFile): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  let redis: ReturnType<typeof openRedis> | undefined;
  try {
    redis = openRedis(redisSettings(config, readFile), 'oneshot', 'doctor', () => undefined);
    await whenReady(redis, REACH_MS);
    const spacing = spacingMicros(quotaOf(config, 'account_check'));
    const slots = createSlotClient(
      redis,
      keysOf(config.app.sdkAppId),
      'account_check',
      createRedisClock(),
      spacing,
    );
    while (performance.now() < giveUpAtMs) {
      const answer = await slots.ask([withoutRecord('live')]);
      if (answer.kind === 'slot') return await waitUntil(answer.slot.atLocalMs);
      if (answer.kind !== 'later') return;
      await waitUntil(Math.min(giveUpAtMs, performance.now() + answer.waitMs));
    }
  } catch {
    // What is wrong with Redis stands among the findings.
  } finally {
    if (redis !== undefined) await closeRedis(redis);
  }
}
