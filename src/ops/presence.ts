import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';

const signScript = loadScript(import.meta.url, '../redis/prelude.lua', 'presence.lua');

/** A worker process as the others see it. `lastSeen`: ms since 1970, Redis's clock. */
export interface WorkerPresence {
  readonly id: string;
  readonly version: string;
  readonly lastSeen: number;
  /** Where its HTTP intake listens; absent if it has none. */
  readonly intake?: string;
}

/** A worker that was not seen for this long is taken for gone. */
export const PRESENT_WITHIN_MS = 20_000;
const FORGOTTEN_AFTER_MS = 86_400_000;
const SIGN_EVERY_MS = 5_000;

/** Gives a sign of life now and then; takes its name off the list when it is closed. */
export function startPresence(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly id: string;
  readonly version: string;
  readonly intakeUrl: string | undefined;
  /** Redis does not know this worker any more, though it did: it was emptied, or is another one. */
  readonly onForgotten: () => void;
  /** Done at each sign of life. */
  readonly alongside: () => Promise<void>;
  /** Told each time how far this machine's clock is ahead of Redis's; only as exact as the round trip is short. */
  readonly onClock: (aheadMs: number) => void;
  readonly onTrouble: (error: Error) => void;
}): { close(): Promise<void> } {
  const { redis, keys, id, version, intakeUrl = '', alongside, onForgotten, onClock, onTrouble } = options;
  let isKnown = false;
  const sign = async (): Promise<void> => {
    const [isNew, seenMs] = (await runScript(
      redis,
      signScript,
      [keys.workers],
      [id, version, intakeUrl],
    )) as [number, string];
    if (isNew === 1 && isKnown) onForgotten();
    isKnown = true;
    onClock(Date.now() - Number(seenMs));
    await alongside();
  };
  let signing = false;
  const signNow = (): void => {
    // While Redis is away they would pile up, each waiting for it.
    if (signing) return;
    signing = true;
    sign()
      .catch(onTrouble)
      .finally(() => {
        signing = false;
      });
  };
  signNow();
  const timer = setInterval(signNow, SIGN_EVERY_MS);
  return {
    async close() {
      clearInterval(timer);
      await redis.hdel(keys.workers, id).catch(onTrouble);
    },
  };
}

/** Workers seen lately; those long gone are taken off the list by the way. */
export async function readPresence(redis: RedisClient, keys: Keys, nowMs: number): Promise<WorkerPresence[]> {
  const all = await redis.hgetall(keys.workers);
  const workers = Object.entries(all).map(([id, json]): WorkerPresence => ({ id, ...JSON.parse(json) }));
  const gone = workers.filter(({ lastSeen }) => nowMs - lastSeen > FORGOTTEN_AFTER_MS).map(({ id }) => id);
  if (gone.length > 0) await redis.hdel(keys.workers, ...gone);
  // One that was seen in the future was seen before Redis's clock was set back; whoever lives signs anew.
  return workers.filter(({ lastSeen }) => Math.abs(nowMs - lastSeen) < PRESENT_WITHIN_MS);
}
