import { Loop } from '../lifecycle/loop.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { AppRedis, Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';

const signScript = loadScript(import.meta.url, 'presence.lua');

/** A worker process as others see it. `lastSeen` is in ms since 1970, on Redis's clock. */
export interface WorkerPresence {
  readonly id: string;
  readonly version: string;
  readonly lastSeen: number;
  /** Where its HTTP intake listens; absent if it has none. */
  readonly intake?: string;
  /** How many events of each kind looked odd since its start; kinds without any are left out. */
  readonly odd?: Readonly<Record<string, number>>;
}

/** A worker that gave no sign of life for this long counts as gone. */
export const PRESENT_WITHIN_MS = 20_000;
const FORGOTTEN_AFTER_MS = 86_400_000;
const SIGN_EVERY_MS = 5_000;

/** Gives a sign of life every SIGN_EVERY_MS, and removes this worker from the list when it is closed. */
export function startPresence(
  options: AppRedis & {
    readonly id: string;
    readonly version: string;
    readonly intakeUrl: string | undefined;
    readonly oddEvents: Readonly<Record<string, number>>;
    /** Redis no longer knows this worker: it was emptied, or is another Redis. */
    readonly onForgotten: () => void;
    /** Runs after each sign of life. */
    readonly alongside: () => Promise<void>;
    /** Told each time how far this machine's clock is ahead of Redis's, give or take the round trip. */
    readonly onClock: (aheadMs: number) => void;
    readonly onTrouble: (error: Error) => void;
  },
): { close(): Promise<void> } {
  const { redis, keys, id, version, intakeUrl = '', oddEvents } = options;
  const { alongside, onForgotten, onClock, onTrouble } = options;
  let isKnown = false;
  const sign = async (): Promise<void> => {
    const odd = Object.fromEntries(Object.entries(oddEvents).filter(([, count]) => count > 0));
    const own = { id, version, intake: intakeUrl, odd };
    const [isNew, seenMs] = (await askScript(redis, signScript, keys, own)) as [number, string];
    if (isNew === 1 && isKnown) onForgotten();
    isKnown = true;
    onClock(Date.now() - Number(seenMs));
    await alongside();
  };
  const loop = new Loop({
    async turn() {
      await sign();
      await loop.rest(SIGN_EVERY_MS);
    },
    errorRestMs: SIGN_EVERY_MS,
    onError: onTrouble,
  });
  loop.run();
  return {
    async close() {
      // While Redis is away, a sign waits for it: the end of this loop is not waited for.
      void loop.stop();
      await redis.hdel(keys.workers, id).catch(onTrouble);
    },
  };
}

/** Workers seen lately. This read also removes those that are long gone. */
export async function readPresence(redis: RedisClient, keys: Keys, nowMs: number): Promise<WorkerPresence[]> {
  const all = await redis.hgetall(keys.workers);
  const workers = Object.entries(all).map(([id, json]): WorkerPresence => ({ id, ...JSON.parse(json) }));
  const gone = workers.filter(({ lastSeen }) => nowMs - lastSeen > FORGOTTEN_AFTER_MS).map(({ id }) => id);
  if (gone.length > 0) await redis.hdel(keys.workers, ...gone);
  // A sign from the future is older than a step back of Redis's clock; a living worker soon signs again.
  return workers.filter(({ lastSeen }) => Math.abs(nowMs - lastSeen) < PRESENT_WITHIN_MS);
}
