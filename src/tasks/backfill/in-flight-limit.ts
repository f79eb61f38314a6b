import { setTimeout as sleep } from 'node:timers/promises';
import { readBacklog } from '../../ledger/backlog.ts';
import type { CommandPair } from '../../pace/quotas.ts';
import type { SlotClient } from '../../pace/slot.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { createMemoryWatermark, hasRoomForBulk } from '../../redis/memory-watermark.ts';
import { MAX_STEP_ROWS, paceOf, type Rates, roomFor, secondsOf } from './redis-headroom.ts';

/** Why nothing is added at present. `busy`: enough work waits. */
export type Obstacle = 'busy' | 'held' | 'paused' | 'memory' | 'redis';

/** Lets rows through while there is room for them. */
export interface Gate {
  /**
   * Resolves to how many rows may be added now, at most `wanted`; waits while it is none. `isAlone`: the row needs a
   * call of its own. Rejects when `signal` is aborted.
   */
  room(wanted: number, isAlone: (at: number) => boolean): Promise<number>;
}

const BUSY_LOOK_MS = 15;
const STOPPED_LOOK_MS = 500;
const RATES_EVERY_MS = 1_000;
/** What was seen is good for this long. */
const FRESH_MS = 20;
/** Share of the newest rows in what a row takes on average. */
const SMOOTHING = 0.2;

export function createGate(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly commands: CommandPair;
  readonly books: { readonly batch: SlotClient; readonly single: SlotClient };
  /** Users in a batch call at most. */
  readonly usersPerBatch: number;
  readonly signal: AbortSignal;
  /** Told at each look: undefined when there is room. */
  readonly onObstacle: (obstacle: Obstacle | undefined, why?: string) => void;
}): Gate {
  const { redis, keys, commands, books, usersPerBatch, signal, onObstacle } = options;
  const memory = createMemoryWatermark(redis, keys);
  let rates: (Rates & { readonly atMs: number }) | undefined;
  let aloneShare: number | undefined;
  let left = 0;
  let seenAtMs = Number.NEGATIVE_INFINITY;

  const currentRates = async (): Promise<Rates> => {
    if (rates !== undefined && performance.now() - rates.atMs < RATES_EVERY_MS) return rates;
    const [batch, single] = await Promise.all([books.batch.look(), books.single.look()]);
    rates = {
      batchPerSecond: batch.ratePerSecond,
      singlePerSecond: single.ratePerSecond,
      usersPerBatch,
      atMs: performance.now(),
    };
    return rates;
  };

  const look = async (): Promise<{
    readonly room: number;
    readonly obstacle?: Obstacle;
    readonly why?: string;
  }> => {
    try {
      const allowed = await currentRates();
      const backlog = await readBacklog(redis, keys, [commands.batch, commands.single]);
      if (backlog.isPaused) return { room: 0, obstacle: 'paused' };
      if (backlog.isHeld) return { room: 0, obstacle: 'held' };
      if (!hasRoomForBulk(await memory.look())) return { room: 0, obstacle: 'memory' };
      const { started } = backlog;
      const now: Rates = {
        batchPerSecond: paceOf(allowed.batchPerSecond, started[commands.batch] ?? 0),
        singlePerSecond: paceOf(allowed.singlePerSecond, started[commands.single] ?? 0),
        usersPerBatch,
      };
      const share = aloneShare ?? 0;
      const perRow =
        share * secondsOf(now, true) + (1 - share) * secondsOf(now, commands.batch === commands.single);
      const room = roomFor(backlog, commands, now, perRow);
      return room > 0 ? { room } : { room, obstacle: 'busy' };
    } catch (error) {
      signal.throwIfAborted();
      return { room: 0, obstacle: 'redis', why: (error as Error).message };
    }
  };

  return {
    async room(wanted, isAlone) {
      const alone = Array.from({ length: wanted }, (_, at) => isAlone(at)).filter(Boolean).length / wanted;
      aloneShare = aloneShare === undefined ? alone : SMOOTHING * alone + (1 - SMOOTHING) * aloneShare;
      for (;;) {
        signal.throwIfAborted();
        if (left > 0 && performance.now() - seenAtMs < FRESH_MS) {
          const given = Math.min(left, wanted, MAX_STEP_ROWS);
          left -= given;
          return given;
        }
        const { room, obstacle, why } = await look();
        onObstacle(obstacle, why);
        left = room;
        seenAtMs = performance.now();
        if (room > 0) continue;
        await sleep(obstacle === 'busy' ? BUSY_LOOK_MS : STOPPED_LOOK_MS, undefined, { signal });
      }
    },
  };
}
