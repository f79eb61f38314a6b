import type { Config, ReadFile } from '../config/config.ts';
import { readSigningSecret } from '../config/secrets.ts';
import { createImClient } from '../im/client.ts';
import { baseUrlsOf } from '../im/regions.ts';
import { createSigner } from '../im/signer.ts';
import { type SlotClass, spacingMicros } from '../pace/budget.ts';
import { createHoldState } from '../pace/hold/hold-state.ts';
import { watchHold } from '../pace/hold/hold-watch.ts';
import { commandPair, quotaOf } from '../pace/quotas.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient, type SlotClient } from '../pace/slot.ts';
import { createSlotQueue } from '../pace/slot-queue.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { type AccountChecks, type AccountChecksReport, createAccountChecks } from './account-checks.ts';

/** Long enough for the longest import. */
const SIGNATURE_LIFE_SECONDS = 7 * 86_400;

/**
 * Asks by the configuration, for a process that is no worker. The connections stay the caller's. Rejects when
 * Redis does; throws a RangeError in hosted mode, whose form has no account_check that this project knows.
 */
export async function openAccountChecks(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly redis: RedisClient;
  /** A connection of its own: it listens. */
  readonly subscriber: RedisClient;
  readonly keys: Keys;
  readonly slotClass: SlotClass;
  readonly maxFailures?: number;
  readonly report: AccountChecksReport;
  /** Redis does not answer. */
  readonly onTrouble: (error: Error) => void;
}): Promise<AccountChecks> {
  const { config, readFile, redis, subscriber, keys, slotClass, maxFailures, report, onTrouble } = options;
  if (config.api.form === 'hosted') throw new RangeError('the hosted form has no account_check');
  const clock = createRedisClock();
  const watch = await watchHold(subscriber, keys);
  const hold = createHoldState(redis, keys);
  const slotsOf = (command: Parameters<typeof quotaOf>[1]): SlotClient =>
    createSlotClient(redis, keys, command, clock, spacingMicros(quotaOf(config, command)));
  const slots = slotsOf('account_check');
  const slotQueue = createSlotQueue({
    slots,
    watch,
    onUnusedProbe: (slot) => hold.missed(slot),
    onTrouble,
  });
  const signer = createSigner({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    readSecret: () => readSigningSecret(config, readFile),
    nowMs: Date.now,
    expireSeconds: SIGNATURE_LIFE_SECONDS,
  });
  const client = createImClient({
    ...(config.api.baseUrl === '' ? baseUrlsOf(config.api.region) : { baseUrl: config.api.baseUrl }),
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    userSig: () => signer.current(),
    callTimeoutMs: config.api.callTimeoutMs,
  });
  const { batch, single } = commandPair(config.api.form);
  const checks = createAccountChecks({
    client,
    limiter: { command: 'account_check', slots, slotQueue },
    watch,
    slotClass,
    otherSlots: [slotsOf(batch), slotsOf(single)],
    overrides: config.verdicts,
    signAnew: () => signer.renew(),
    ...(maxFailures !== undefined && { maxFailures }),
    random: Math.random,
    report,
  });
  return {
    ask: (userIds) => checks.ask(userIds),
    close() {
      checks.close();
      // What a check on the wire would still say is of use to nobody.
      client.abort();
    },
  };
}
