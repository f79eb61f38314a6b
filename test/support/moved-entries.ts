import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';

/** Entries and letters that one script call may move, at most: some milliseconds of Redis. */
export const MOST_MOVED = 2_200;

/** What the calls of scripts moved, each by itself. */
export interface MovedEntries {
  /** Asks Redis, and looks after each script how much moved. One command at a time. */
  readonly redis: RedisClient;
  /** The most that one call moved. */
  readonly most: () => number;
  /** Begins to count anew. */
  readonly reset: () => void;
}

/** Counts by the lengths of all places: what moves leaves one of them, or comes into one. */
export function countMoved(client: RedisClient, keys: Keys): MovedEntries {
  let most = 0;
  const lengths = async (): Promise<number[]> => {
    const batch = client.pipeline().xlen(keys.stream).llen(keys.returned);
    batch.hget(keys.books, 'parked').hget(keys.books, 'events');
    for (const key of [keys.deadByTime, keys.deadResolved, keys.deadRedriving]) batch.zcard(key);
    return ((await batch.exec()) ?? []).map(([, length]) => Number(length ?? 0));
  };
  const counted = async (ask: () => Promise<unknown>): Promise<unknown> => {
    const before = await lengths();
    const answer = await ask();
    const after = await lengths();
    for (const [i, length] of after.entries()) most = Math.max(most, Math.abs(length - (before[i] ?? 0)));
    return answer;
  };
  const redis = new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'evalsha' && name !== 'eval') return value.bind(target);
      return (...args: unknown[]) => counted(() => Reflect.apply(value, target, args) as Promise<unknown>);
    },
  });
  const reset = (): void => {
    most = 0;
  };
  return { redis, most: () => most, reset };
}
