import type { CallQueues } from '../calls/bullmq/queues.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { readTotals } from '../ledger/totals.ts';
import { type Quota, spacingMicros } from '../pace/budget.ts';
import { type Hold, type Pause, readFleetState } from '../pace/hold/hold-state.ts';
import { createRedisClock } from '../pace/redis-clock.ts';
import { createSlotClient } from '../pace/slot.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { type MemoryLevel, memoryOf } from '../redis/memory-watermark.ts';
import { ownerInfo } from '../redis/owner.ts';
import { readPresence, type WorkerPresence } from './presence.ts';

/** What `imsync status --json` prints (contract). Ages in ms. */
export interface Status {
  readonly sdkAppId: number;
  readonly intake: { readonly waiting: number; readonly parked: number; readonly oldestAgeMs: number | null };
  readonly calls: Readonly<Record<string, CommandStatus>>;
  /** Age of the oldest event that has not ended, wherever it is; null if all have. */
  readonly oldestUnfinishedAgeMs: number | null;
  /** Calls of users who fail while others pass: each is retried alone, and holds up nobody. */
  readonly suspects: { readonly calls: number };
  readonly deadLetters: {
    readonly total: number;
    readonly byReason: Readonly<Record<string, number>>;
    readonly byCode: Readonly<Record<string, number>>;
    readonly oldestAgeMs: number | null;
  };
  readonly hold: Hold | null;
  readonly paused: boolean;
  /** Why and since when, if paused. */
  readonly pause: Pause | null;
  readonly totals: {
    readonly accepted: number;
    readonly imported: number;
    readonly superseded: number;
    readonly deadLettered: number;
    /** Of those: erased by `user forget` while they were on their way. */
    readonly forgotten: number;
  };
  /** Of Redis, which a full one is refused by: `high` stops backfill and redrive, `full` the HTTP intake, too. */
  readonly redis: { readonly memoryUsedRatio: number | null; readonly memory: MemoryLevel };
  readonly workers: readonly WorkerPresence[];
}

export interface CommandStatus {
  /** Calls by the state of their jobs. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  /** Users in the calls. */
  readonly users: number;
  /** Calls a second that the API allows. */
  readonly quota: number;
  /** Calls a second that are started at most, by the lowest quota of the fleet and the throttle. */
  readonly rate: number;
  readonly startedLastSecond: number;
}

/** Gathers it all; what must balance comes from one script (ledger/totals.lua). */
export async function readStatus(
  redis: RedisClient,
  keys: Keys,
  queues: CallQueues,
  sdkAppId: number,
  quotas: Readonly<Partial<Record<ImportCommand, Quota>>>,
): Promise<Status> {
  const books = await readTotals(redis, keys);
  const fleet = readFleetState(await redis.hgetall(keys.hold));
  const calls: Record<string, CommandStatus> = {};
  for (const [command, quota] of Object.entries(quotas) as [ImportCommand, Quota][]) {
    const from = String((books.nowMs - 1_000) * 1_000);
    calls[command] = {
      ...(await queues.counts(command)),
      users: books.usersInCalls[command] ?? 0,
      quota: quota.perSecond,
      rate: (await createSlotClient(redis, keys, command, createRedisClock(), spacingMicros(quota)).look())
        .ratePerSecond,
      startedLastSecond: await redis.zcount(keys.startedPrefix + command, from, String(books.nowMs * 1_000)),
    };
  }
  const memory = memoryOf(await ownerInfo(redis, keys), 'ample');
  return {
    sdkAppId,
    intake: { waiting: books.waiting, parked: books.parked, oldestAgeMs: books.oldestWaitingMs },
    calls,
    oldestUnfinishedAgeMs: books.oldestUnfinishedMs,
    suspects: { calls: books.suspectedCalls },
    deadLetters: {
      total: Object.values(books.deadByReason).reduce((sum, n) => sum + n, 0),
      byReason: books.deadByReason,
      byCode: books.deadByCode,
      oldestAgeMs: books.oldestLetterMs,
    },
    hold: fleet.hold,
    paused: fleet.pause !== null,
    pause: fleet.pause,
    totals: {
      accepted: books.accepted,
      imported: books.imported,
      superseded: books.superseded,
      deadLettered: books.deadLettered,
      forgotten: books.forgotten,
    },
    redis: { memoryUsedRatio: memory.usedRatio, memory: memory.level },
    workers: await readPresence(redis, keys, books.nowMs),
  };
}
