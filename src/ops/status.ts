import type { CallQueues } from '../calls/bullmq/queues.ts';
import { type Hold, type Pause, readFleetState } from '../hold/hold-state.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { readTotals } from '../ledger/totals.ts';
import { type Quota, spacingMicros } from '../pace/budget.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient } from '../pace/slot.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { type MemoryLevel, memoryOf } from '../redis/memory-watermark.ts';
import { ownerInfo } from '../redis/owner.ts';
import { readPresence, type WorkerPresence } from './presence.ts';

/** What `imsync status --json` prints (a contract). Ages are in ms. */
export interface Status {
  readonly sdkAppId: number;
  readonly intake: { readonly waiting: number; readonly parked: number; readonly oldestAgeMs: number | null };
  readonly calls: Readonly<Record<string, CommandStatus>>;
  /** Age of the oldest event that has not ended, wherever it is. Null when all have ended. */
  readonly oldestUnfinishedAgeMs: number | null;
  /** Calls of users who fail while others pass. Each is retried alone and delays no other user. */
  readonly suspects: { readonly calls: number };
  readonly deadLetters: {
    readonly total: number;
    readonly byReason: Readonly<Record<string, number>>;
    readonly byCode: Readonly<Record<string, number>>;
    readonly oldestAgeMs: number | null;
  };
  readonly hold: Hold | null;
  readonly paused: boolean;
  /** Why and since when the fleet is paused. */
  readonly pause: Pause | null;
  readonly totals: {
    readonly accepted: number;
    readonly imported: number;
    readonly superseded: number;
    readonly deadLettered: number;
    /** Accepted events that `user forget` erased before they ended. */
    readonly forgotten: number;
  };
  /** The memory of Redis: `high` stops backfill and redrive, `full` stops the HTTP intake as well. */
  readonly redis: { readonly memoryUsedRatio: number | null; readonly memory: MemoryLevel };
  readonly workers: readonly WorkerPresence[];
}

export interface CommandStatus {
  /** Calls by the state of their jobs. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  /** Users in these calls. */
  readonly users: number;
  /** Calls a second that the API allows. */
  readonly quota: number;
  /** Calls a second that may start now: the lowest quota of the fleet, lowered by a throttle. */
  readonly rate: number;
  readonly startedLastSecond: number;
}

/** Reads the whole status. The numbers that must balance come from one script (ledger/totals.lua). */
export async function readStatus(
  redis: RedisClient,
  keys: Keys,
  queues: CallQueues,
  sdkAppId: number,
  quotas: Readonly<Partial<Record<ImportCommand, Quota>>>,
): Promise<Status> {
  const totals = await readTotals(redis, keys);
  const fleet = readFleetState(await redis.hgetall(keys.hold));
  const calls: Record<string, CommandStatus> = {};
  for (const [command, quota] of Object.entries(quotas) as [ImportCommand, Quota][]) {
    const fromMicros = String((totals.nowMs - 1_000) * 1_000);
    const toMicros = String(totals.nowMs * 1_000);
    const slots = createSlotClient(redis, keys, command, createRedisClock(), spacingMicros(quota));
    calls[command] = {
      ...(await queues.counts(command)),
      users: totals.usersInCalls[command] ?? 0,
      quota: quota.perSecond,
      rate: (await slots.look()).ratePerSecond,
      startedLastSecond: await redis.zcount(keys.startedPrefix + command, fromMicros, toMicros),
    };
  }
  const memory = memoryOf(await ownerInfo(redis, keys), 'ample');
  const { accepted, imported, superseded, deadLettered, forgotten } = totals;
  return {
    sdkAppId,
    intake: { waiting: totals.waiting, parked: totals.parked, oldestAgeMs: totals.oldestWaitingMs },
    calls,
    oldestUnfinishedAgeMs: totals.oldestUnfinishedMs,
    suspects: { calls: totals.suspectedCalls },
    deadLetters: {
      total: Object.values(totals.deadByReason).reduce((sum, n) => sum + n, 0),
      byReason: totals.deadByReason,
      byCode: totals.deadByCode,
      oldestAgeMs: totals.oldestLetterMs,
    },
    hold: fleet.hold,
    paused: fleet.pause !== null,
    pause: fleet.pause,
    totals: { accepted, imported, superseded, deadLettered, forgotten },
    redis: { memoryUsedRatio: memory.usedRatio, memory: memory.level },
    workers: await readPresence(redis, keys, totals.nowMs),
  };
}
