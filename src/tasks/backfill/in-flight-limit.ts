import { setTimeout as sleep } from 'node:timers/promises';
import { createCachedRead } from '../../lifecycle/wait.ts';
import type { CommandPair } from '../../pace/budget.ts';
import type { SlotClient } from '../../pace/slot.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { createMemoryWatermark, hasRoomForBulk } from '../../redis/memory-watermark.ts';
import { type Backlog, readBacklog } from './backlog.ts';

/**
 * How many rows an import may have in flight.
 *
 * Events of an import are worth as much as those of a signup, and share one queue with them. A signup stays
 * quick while that queue stays short. So rows are added only while less than `TARGET_SECONDS` of work waits,
 * counting the work of signups as well. That is the longest queue a signup finds. When signups alone fill it,
 * no row is added.
 *
 * The first part of this file is policy and pure. The second part asks Redis and waits.
 */

/** Long enough to use the whole quota between two looks, short enough to go unnoticed. */
export const TARGET_SECONDS = 0.3;
/** Rows added in one step at most: Redis serves nobody else meanwhile. */
export const MAX_STEP_ROWS = 500;

/** Calls a second of each command while there is work, and how many users fit into a batch call. */
interface Rates {
  readonly batchPerSecond: number;
  readonly singlePerSecond: number;
  readonly usersPerBatch: number;
}

/**
 * A slow fleet gets twice the work that it did, so at most 0.6 s of its work waits. With less, a fleet that
 * needs half a second from intake to slot (a far Redis) would be taken for ever slower. An idle fleet gets a
 * quarter.
 */
const GROWTH = 2;
const LEAST_SHARE = 0.25;

/**
 * Calls a second that the fleet makes while there is work: twice what it started in the last second, at most
 * what is allowed. A fleet short of CPU stays below the quota, so less work may wait for it.
 */
export function expectedRate(allowedPerSecond: number, startedLastSecond: number): number {
  return Math.min(allowedPerSecond, Math.max(LEAST_SHARE * allowedPerSecond, GROWTH * startedLastSecond));
}

/**
 * Rows that may be added now; 0 when enough work waits. `aloneShare`: the share of these rows that need a
 * call of their own. Waiting events of others are assumed to take as long as these.
 */
export function headroomOf(
  { calls, waiting }: Pick<Backlog, 'calls' | 'waiting'>,
  commands: CommandPair,
  { batchPerSecond, singlePerSecond, usersPerBatch }: Rates,
  aloneShare: number,
): number {
  const perRow = aloneShare / singlePerSecond + (1 - aloneShare) / (batchPerSecond * usersPerBatch);
  const open = Object.entries(calls).map(
    ([command, count]) => count / (command === commands.batch ? batchPerSecond : singlePerSecond),
  );
  const waitingSeconds = Math.max(0, ...open) + waiting * perRow;
  const rows = Math.floor((TARGET_SECONDS - waitingSeconds) / perRow + 1e-6);
  // When one row takes longer than the target, rows go one at a time while nothing waits.
  if (rows < 1) return waitingSeconds === 0 ? 1 : 0;
  return Math.min(rows, MAX_STEP_ROWS);
}

/** Why no row is added at present. `busy`: enough work waits. */
export type Obstacle = 'busy' | 'held' | 'paused' | 'memory' | 'redis';

/**
 * Lets rows through while there is headroom for them: resolves with the number of rows that may be added now,
 * at least 1, at most `wanted`. Waits while it is 0. `alone`: how many of the rows need a call of their own.
 * Rejects when the signal is aborted.
 */
export type InFlightLimit = (wanted: number, alone: number) => Promise<number>;

const BUSY_LOOK_MS = 15;
const STOPPED_LOOK_MS = 500;
const RATES_EVERY_MS = 1_000;

export function createInFlightLimit(
  options: AppRedis & {
    readonly commands: CommandPair;
    readonly slots: { readonly batch: SlotClient; readonly single: SlotClient };
    /** Users in a batch call at most. */
    readonly usersPerBatch: number;
    readonly signal: AbortSignal;
    /** Called at each look; undefined when there is headroom. */
    readonly onObstacle: (obstacle: Obstacle | undefined, why?: string) => void;
  },
): InFlightLimit {
  const { redis, keys, commands, slots, usersPerBatch, signal, onObstacle } = options;
  const memory = createMemoryWatermark(redis, keys);
  const allowed = createCachedRead(
    () => Promise.all([slots.batch.look(), slots.single.look()]),
    RATES_EVERY_MS,
  );

  /** The rows that may be added, or why none may. */
  const look = async (aloneShare: number): Promise<number | Obstacle> => {
    const [batch, single] = await allowed();
    const backlog = await readBacklog({ redis, keys }, [commands.batch, commands.single]);
    if (backlog.isPaused) return 'paused';
    if (backlog.isHeld) return 'held';
    if (!hasRoomForBulk(await memory.look())) return 'memory';
    const { started } = backlog;
    const rates: Rates = {
      batchPerSecond: expectedRate(batch.ratePerSecond, started[commands.batch] ?? 0),
      singlePerSecond: expectedRate(single.ratePerSecond, started[commands.single] ?? 0),
      usersPerBatch,
    };
    return headroomOf(backlog, commands, rates, aloneShare) || 'busy';
  };

  return async (wanted, alone) => {
    for (;;) {
      signal.throwIfAborted();
      let why: string | undefined;
      const seen = await look(alone / wanted).catch((error: Error): Obstacle => {
        why = error.message;
        return 'redis';
      });
      signal.throwIfAborted();
      if (typeof seen === 'number') {
        onObstacle(undefined);
        return Math.min(seen, wanted);
      }
      onObstacle(seen, why);
      await sleep(seen === 'busy' ? BUSY_LOOK_MS : STOPPED_LOOK_MS, undefined, { signal });
    }
  };
}
