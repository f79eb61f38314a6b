import { createCachedRead } from '../lifecycle/cached-read.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { ownerInfo } from './owner.ts';

/**
 * How full Redis is, and who must stop adding to it. A full Redis refuses everybody, live signups first of all; so
 * what can wait stops earlier: backfill and redrive at the first mark, the HTTP intake at the second. Producers
 * that speak to Redis themselves get Redis's own error at its limit.
 */
export type MemoryLevel = 'ample' | 'high' | 'full';

export interface Memory {
  /** Used part of maxmemory, 0..1 and a little more; null when Redis has no limit. */
  readonly usedRatio: number | null;
  readonly level: MemoryLevel;
}

/** The share of maxmemory at which backfill and redrive wait. */
export const HIGH_SHARE = 0.85;
/** The share of maxmemory at which the HTTP intake refuses. What is left is for the work on what was accepted. */
export const FULL_SHARE = 0.92;
/** A level is left only this far below its mark: it must not come and go with every call. */
const SLACK = 0.02;
const FRESH_MS = 1_000;

/**
 * What INFO's text says, after `before`. Replicas' and the append-only file's buffers do not count, as they do not
 * for Redis's own limit. Pure.
 */
export function memoryOf(info: string, before: MemoryLevel): Memory {
  const { usedBytes, maxBytes } = countedMemory(info);
  if (maxBytes === 0) return { usedRatio: null, level: 'ample' };
  const usedRatio = usedBytes / maxBytes;
  const reaches = (mark: number, held: boolean): boolean => usedRatio >= (held ? mark - SLACK : mark);
  if (reaches(FULL_SHARE, before === 'full')) return { usedRatio, level: 'full' };
  return { usedRatio, level: reaches(HIGH_SHARE, before !== 'ample') ? 'high' : 'ample' };
}

/** The bytes that Redis holds against its limit; `maxBytes` is 0 without one. Pure. */
export function countedMemory(info: string): { readonly usedBytes: number; readonly maxBytes: number } {
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)\\r?$`, 'm').exec(info)?.[1] ?? 0);
  return {
    usedBytes: field('used_memory') - field('mem_not_counted_for_evict'),
    maxBytes: field('maxmemory'),
  };
}

/** Backfill and redrive may add more. */
export function hasRoomForBulk({ level }: Memory): boolean {
  return level === 'ample';
}

/** The HTTP intake may accept. */
export function hasRoomForIntake({ level }: Memory): boolean {
  return level !== 'full';
}

/** For people: "Redis is 93 % full". */
export function memoryText({ usedRatio }: Memory): string {
  return usedRatio === null ? 'Redis has no memory limit' : `Redis is ${Math.floor(usedRatio * 100)} % full`;
}

/** Looks at Redis's memory, at most once a second however often it is asked. */
export interface MemoryWatermark {
  /** Rejects when Redis does not answer. */
  look(): Promise<Memory>;
}

export function createMemoryWatermark(redis: RedisClient, keys: Keys): MemoryWatermark {
  let level: MemoryLevel = 'ample';
  const look = createCachedRead(async () => {
    const memory = memoryOf(await ownerInfo(redis, keys), level);
    level = memory.level;
    return memory;
  }, FRESH_MS);
  return { look };
}
