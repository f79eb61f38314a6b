import { randomBytes } from 'node:crypto';
import type { Config, ReadFile } from '../config/config.ts';
import type { Answer } from '../im/answers.ts';
import { encodeCheck } from '../im/bodies.ts';
import { hostsOf, openApi } from '../im/open-api.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import { quotaOf, spacingMicros } from '../pace/budget.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient, withoutRecord } from '../pace/slot.ts';
import { closeRedis, openRedis, whenReady } from '../redis/connect.ts';
import { keysOf } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';

/** The result of one account_check. */
export interface ApiProbe {
  readonly answer: Answer;
  readonly verdict: Verdict;
  readonly roundTripMs: number;
  /**
   * The API's clock less ours, in ms, within a second or so. Undefined when the answer had no Date header.
   */
  readonly clockAheadMs: number | undefined;
}

const CONNECT_MS = 5_000;
const REDIS_REACH_MS = 1_000;
const SLOT_TIMEOUT_MS = 3_000;
/** Long enough for one call. */
const SIGNATURE_SECONDS = 600;
/** The Date header tells whole seconds: on average half of one has passed. */
const HALF_A_SECOND_MS = 500;

/**
 * Checks an account that does not exist, once connected and when `slot` has come. Changes nothing. Asks the
 * main host only: the finding is about the address that is configured. Never rejects.
 */
export async function probeApi(config: Config, readFile: ReadFile, slot: Promise<void>): Promise<ApiProbe> {
  const { client } = openApi(config, readFile, {
    hosts: { baseUrl: apiAddress(config) },
    callTimeoutMs: Math.min(config.api.callTimeoutMs, CONNECT_MS),
    signatureSeconds: SIGNATURE_SECONDS,
  });
  const call = client.prepare(
    'account_check',
    encodeCheck([`imsync-doctor-${randomBytes(8).toString('hex')}`]),
  );
  await Promise.all([call.connected, slot]);
  const startedMs = performance.now();
  const answer = await call.send();
  const roundTripMs = performance.now() - startedMs;
  const sentAtMs = Date.now() - roundTripMs / 2;
  client.close();
  const serverTimeMs = answer.kind === 'fault' ? undefined : answer.serverTimeMs;
  return {
    answer,
    verdict: verdictOf('account_check', answer),
    roundTripMs,
    clockAheadMs: serverTimeMs === undefined ? undefined : serverTimeMs + HALF_A_SECOND_MS - sentAtMs,
  };
}

/** Returns the configured base URL, or that of the configured region. */
export function apiAddress(config: Config): string {
  return hostsOf(config).baseUrl;
}

/**
 * Waits for a slot of account_check, so that the doctor's call stays within the quota of all processes.
 * It resolves without a slot if Redis cannot grant one within 3 s, or if calls are held or paused:
 * then no worker calls, and the API's answer is what the operator needs to know. Never rejects.
 */
export async function waitForProbeSlot(config: Config, readFile: ReadFile): Promise<void> {
  const giveUpAtMs = performance.now() + SLOT_TIMEOUT_MS;
  let redis: ReturnType<typeof openRedis> | undefined;
  try {
    redis = openRedis(redisSettings(config, readFile), 'oneshot', 'doctor', () => undefined);
    await whenReady(redis, REDIS_REACH_MS);
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
    // The findings about Redis contain this error.
  } finally {
    if (redis !== undefined) await closeRedis(redis);
  }
}
