import type { CallQueues } from '../calls/bullmq/queues.ts';
import { readFleetState } from '../hold/hold-state.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { readTotals, type Totals } from '../ledger/totals.ts';
import { type Quota, spacingMicros } from '../pace/budget.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient } from '../pace/slot.ts';
import type { AppRedis } from '../redis/keys.ts';
import { memoryOf } from '../redis/memory-watermark.ts';
import { ownerInfo } from '../redis/owner.ts';
import { parseServerFacts, writeProblems } from '../redis/requirements.ts';
import { readRelay } from '../relay/relay-store.ts';
import { readReconcile } from '../tasks/reconcile/reconcile-state.ts';
import { readPresence } from './presence.ts';

/** A relay gives a sign of life every 5 s. */
const RELAY_WITHIN_MS = 20_000;

/** What `imsync status --json` prints (a contract). Ages are in ms, and null when there is nothing to age. */
export type Status = Awaited<ReturnType<typeof readStatus>>;

/** Reads the whole status. The numbers that must balance come from one script (ledger/totals.lua). */
export async function readStatus(
  app: AppRedis,
  queues: CallQueues,
  sdkAppId: number,
  quotas: Readonly<Partial<Record<ImportCommand, Quota>>>,
) {
  const { redis, keys } = app;
  const totals = await readTotals(redis, keys);
  const { hold, pause } = readFleetState(await redis.hgetall(keys.hold));
  const calls: Record<string, Awaited<ReturnType<typeof commandStatus>>> = {};
  for (const [command, quota] of Object.entries(quotas) as [ImportCommand, Quota][])
    calls[command] = await commandStatus(app, queues, command, quota, totals);
  const info = await ownerInfo(redis, keys);
  const memory = memoryOf(info, 'ample');
  const { accepted, imported, superseded, deadLettered, forgotten } = totals;
  return {
    sdkAppId,
    intake: { waiting: totals.waiting, parked: totals.parked, oldestAgeMs: totals.oldestWaitingMs },
    calls,
    /** Age of the oldest event that has not ended, wherever it is. */
    oldestUnfinishedAgeMs: totals.oldestUnfinishedMs,
    /** Calls of users who fail while others pass. Each is retried alone and delays no other user. */
    suspects: { calls: totals.suspectedCalls },
    deadLetters: {
      total: Object.values(totals.deadByReason).reduce((sum, n) => sum + n, 0),
      byReason: totals.deadByReason,
      byCode: totals.deadByCode,
      oldestAgeMs: totals.oldestLetterMs,
    },
    hold,
    paused: pause !== null,
    /** Why and since when the fleet is paused. */
    pause,
    /** `forgotten`: accepted events that `user forget` erased before they ended. */
    totals: { accepted, imported, superseded, deadLettered, forgotten },
    /**
     * The memory of Redis: `high` stops backfill and redrive, `full` stops the HTTP intake as well. `problems`: why
     * it would refuse an event now, in sentences.
     */
    redis: {
      memoryUsedRatio: memory.usedRatio,
      memory: memory.level,
      problems: writeProblems(parseServerFacts(info)),
    },
    workers: await readPresence(redis, keys, totals.nowMs),
    /** The relay that works, or worked last; null if none ever has. */
    relay: await relayStatus(app, totals.nowMs),
    ...(await reconcileStatus(app)),
  };
}

async function relayStatus(app: AppRedis, nowMs: number) {
  const relay = await readRelay(app);
  return relay === null ? null : { ...relay, isWorking: Math.abs(nowMs - relay.lastSeen) < RELAY_WITHIN_MS };
}

async function reconcileStatus(app: AppRedis) {
  const { last, due } = await readReconcile(app);
  return {
    /** The last run of `imsync reconcile`; null if there was none. */
    reconcile: last,
    /** When the next run of `imsync reconcile --every` is due, ms since 1970; null where none is repeated. */
    reconcileDueAt: due?.at ?? null,
  };
}

async function commandStatus(
  { redis, keys }: AppRedis,
  queues: CallQueues,
  command: ImportCommand,
  quota: Quota,
  { nowMs, usersInCalls }: Totals,
) {
  const slots = createSlotClient(redis, keys, command, createRedisClock(), spacingMicros(quota));
  const [fromMicros, toMicros] = [String((nowMs - 1_000) * 1_000), String(nowMs * 1_000)];
  return {
    /** Calls by the state of their jobs: waiting, active, delayed. */
    ...(await queues.counts(command)),
    /** Users in these calls. */
    users: usersInCalls[command] ?? 0,
    /** Calls a second that the API allows. */
    quota: quota.perSecond,
    /** Calls a second that may start now: the lowest quota of the fleet, lowered by a throttle. */
    rate: (await slots.look()).ratePerSecond,
    startedLastSecond: await redis.zcount(keys.startedPrefix + command, fromMicros, toMicros),
  };
}
