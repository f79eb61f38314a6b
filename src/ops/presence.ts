import { Loop } from '../lifecycle/loop.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { AppRedis, Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';
import type { FleetCounts } from './history/fleet-counts.ts';

const signScript = loadScript(
  import.meta.url,
  '../ledger/oldest-waiting.lua',
  'history/sample.lua',
  'history/bands.lua',
  'presence.lua',
);

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

/** What a worker tells with its signs of life, besides that it lives. */
export interface SignNews {
  /** What it counted since the last sign; handed back if the sign failed. */
  readonly counts: Pick<FleetCounts, 'take' | 'giveBack'>;
  /** The batch command; calls a second that are in force, and that the API allows. */
  readonly pace: () => { readonly command: string; readonly rate: number; readonly quota: number };
  /** Its settings without secrets (config/mask.ts), as others are to compare them. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Gives a sign of life every SIGN_EVERY_MS, which also keeps the history of the fleet, and removes this worker
 * from the list when it is closed. `signNow`: a hold or a pause has changed.
 */
export function startPresence(
  options: AppRedis & {
    readonly id: string;
    readonly version: string;
    readonly intakeUrl: string | undefined;
    readonly oddEvents: Readonly<Record<string, number>>;
    readonly news: SignNews;
    /** Redis no longer knows this worker: it was emptied, or is another Redis. */
    readonly onForgotten: () => void;
    /** Runs after each sign of life. */
    readonly alongside: () => Promise<void>;
    /** Told each time how far this machine's clock is ahead of Redis's, give or take the round trip. */
    readonly onClock: (aheadMs: number) => void;
    readonly onTrouble: (error: Error) => void;
  },
): { signNow(): void; close(): Promise<void> } {
  const {
    redis,
    keys,
    id,
    version,
    intakeUrl = '',
    oddEvents,
    news,
    alongside,
    onForgotten,
    onClock,
    onTrouble,
  } = options;
  const settings = JSON.stringify(news.settings);
  let isKnown = false;
  let isTold = false;
  const sign = async (): Promise<void> => {
    const counts = news.counts.take();
    const odd = Object.fromEntries(Object.entries(oddEvents).filter(([, count]) => count > 0));
    const more = { ...news.pace(), ...(!isTold && { settings }) };
    const own = { id, version, intake: intakeUrl, odd, counts, ...more };
    const reply = await askScript(redis, signScript, keys, own).catch((error: Error) => {
      news.counts.giveBack(counts);
      throw error;
    });
    const [isNew, seenMs, problem] = reply as [number, string, string?];
    // A Redis that lost what it held is told once more, with the next sign.
    isTold = isNew === 0 || !isKnown;
    if (isNew === 1 && isKnown) onForgotten();
    isKnown = true;
    onClock(Date.now() - Number(seenMs));
    await alongside();
    if (problem !== undefined) throw new Error(`the history could not be kept: ${problem}`);
  };
  // Signs keep their beat, so that a point of the history always holds the same two of each worker.
  const startedMs = performance.now();
  const loop = new Loop({
    async turn() {
      await sign();
      await loop.rest(SIGN_EVERY_MS - ((performance.now() - startedMs) % SIGN_EVERY_MS));
    },
    errorRestMs: SIGN_EVERY_MS,
    onError: onTrouble,
  });
  loop.run();
  return {
    signNow: () => loop.wake(),
    async close() {
      // While Redis is away, a sign waits for it: the end of this loop is not waited for.
      void loop.stop();
      await Promise.all([redis.hdel(keys.workers, id), redis.hdel(keys.workerSettings, id)]).catch(onTrouble);
    },
  };
}

/** Workers seen lately. This read also removes those that are long gone. */
export async function readPresence(redis: RedisClient, keys: Keys, nowMs: number): Promise<WorkerPresence[]> {
  const all = await redis.hgetall(keys.workers);
  const workers = Object.entries(all).map(([id, json]): WorkerPresence => ({ id, ...JSON.parse(json) }));
  const gone = workers.filter(({ lastSeen }) => nowMs - lastSeen > FORGOTTEN_AFTER_MS).map(({ id }) => id);
  if (gone.length > 0) {
    await redis.hdel(keys.workers, ...gone);
    await redis.hdel(keys.workerSettings, ...gone);
  }
  // A sign from the future is older than a step back of Redis's clock; a living worker soon signs again.
  return workers.filter(({ lastSeen }) => Math.abs(nowMs - lastSeen) < PRESENT_WITHIN_MS);
}

/** Settings that workers told, by their ID. A worker of an earlier version tells none. */
export async function readWorkerSettings({
  redis,
  keys,
}: AppRedis): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const told = await redis.hgetall(keys.workerSettings);
  return new Map(Object.entries(told).map(([id, json]) => [id, JSON.parse(json)]));
}
