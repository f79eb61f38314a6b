import { createCachedRead } from '../lifecycle/wait.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { infoField, ownerInfo } from './owner.ts';

/**
 * How full Redis is. A full Redis refuses every write, also of live signups. So backfill and redrive stop at
 * `high`, the HTTP intake at `full`. Producers that write to Redis themselves get its own error at the limit.
 */
export type MemoryLevel = 'ample' | 'high' | 'full';

export interface Memory {
  /** Used share of maxmemory, 0 to 1 or slightly more; null if Redis has no limit. */
  readonly usedRatio: number | null;
  readonly level: MemoryLevel;
}

/** The share of maxmemory at which backfill and redrive wait. */
export const HIGH_SHARE = 0.85;
/** The share at which the HTTP intake refuses. The rest is for work on accepted events. */
export const FULL_SHARE = 0.92;
/** A level ends only this far below its mark, so that it does not change with every call. */
const SLACK = 0.02;
const FRESH_MS = 1_000;

/**
 * Reads the level from INFO; `before` is the previous level. Buffers of replicas and of the append-only file
 * do not count, as they do not count for Redis's own limit. Pure.
 */
export function memoryOf(info: string, before: MemoryLevel): Memory {
  const { usedBytes, maxBytes } = countedMemory(info);
  if (maxBytes === 0) return { usedRatio: null, level: 'ample' };
  const usedRatio = usedBytes / maxBytes;
  const reaches = (mark: number, held: boolean): boolean => usedRatio >= (held ? mark - SLACK : mark);
  if (reaches(FULL_SHARE, before === 'full')) return { usedRatio, level: 'full' };
  return { usedRatio, level: reaches(HIGH_SHARE, before !== 'ample') ? 'high' : 'ample' };
}

/** The bytes that count for the memory limit; `maxBytes` is 0 without a limit. Pure. */
export function countedMemory(info: string): { readonly usedBytes: number; readonly maxBytes: number } {
  const field = (name: string): number => Number(infoField(info, name) || 0);
  return {
    usedBytes: field('used_memory') - field('mem_not_counted_for_evict'),
    maxBytes: field('maxmemory'),
  };
}

export function hasRoomForBulk({ level }: Memory): boolean {
  return level === 'ample';
}

export function hasRoomForIntake({ level }: Memory): boolean {
  return level !== 'full';
}

/** The level as a clause for people: "Redis is 93 % full". */
export function memoryText({ usedRatio }: Memory): string {
  return usedRatio === null ? 'Redis has no memory limit' : `Redis is ${Math.floor(usedRatio * 100)} % full`;
}

export type MemoryWatermark = Readonly<ReturnType<typeof createMemoryWatermark>>;

/** Reads Redis's memory once a second at most, however often `look` is called. Rejects without an answer. */
export function createMemoryWatermark(redis: RedisClient, keys: Keys) {
  let level: MemoryLevel = 'ample';
  const look = createCachedRead(async () => {
    const memory = memoryOf(await ownerInfo(redis, keys), level);
    level = memory.level;
    return memory;
  }, FRESH_MS);
  return { look };
}
