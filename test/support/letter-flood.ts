import type { Letter } from '../../src/ledger/letters/dead-letters.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import type { Keys } from '../../src/redis/keys.ts';
import { askScript, loadScript } from '../../src/redis/script.ts';

const floodScript = loadScript(
  import.meta.url,
  '../../src/ledger/letters/letter-index.lua',
  'letter-flood.lua',
);

const AT_A_TIME = 500;
const AT_ONCE = 4;
const DAY_MS = 86_400_000;
/** The newest letter died a minute ago, the oldest so long before. */
export const FLOOD_MS = 30 * DAY_MS;

/** How often each comes in a hundred. */
const KINDS = [
  { share: 70, reason: 'rejected', errorCode: 70402, errorInfo: 'param UserID is invalid' },
  { share: 20, reason: 'expired', errorCode: 70500, errorInfo: 'server internal error, try again' },
  { share: 7, reason: 'profile', errorCode: 40005, errorInfo: 'sensitive word in the nickname' },
  { share: 2, reason: 'unknown', errorCode: 71234, errorInfo: 'an answer that nobody knows' },
  { share: 1, reason: 'invalid', errorCode: 0, errorInfo: 'occurredAt is no time' },
] as const;

function kindAt(place: number): (typeof KINDS)[number] {
  let below = 0;
  for (const kind of KINDS) {
    below += kind.share;
    if (place < below) return kind;
  }
  return KINDS[0];
}

/** This user has a letter in a hundred. */
export const HOT_USER = 'hot-user';

/** Letter `i` of `count`, the oldest first, evenly spread over FLOOD_MS up to `newestMs`. */
function letterAt(i: number, count: number, newestMs: number): Letter {
  const { reason, errorCode, errorInfo } = kindAt((i * 37) % 100);
  const firstSeenAt = Math.floor(newestMs - FLOOD_MS + (FLOOD_MS * (i + 1)) / count) - 2_000;
  const userId = i % 100 === 50 ? HOT_USER : `user-${i}`;
  const isSent = reason !== 'invalid';
  const attempt = {
    at: firstSeenAt + 1_000,
    command: 'multiaccount_import',
    errorCode,
    httpStatus: 200,
  } as const;
  return {
    ...{ eventId: `${firstSeenAt}-${i % 1_000}`, userId, reason, errorCode, errorInfo },
    httpStatus: isSent ? 200 : 0,
    command: isSent ? 'multiaccount_import' : '',
    event: { userId, nick: `Nick of number ${i}`, faceUrl: `https://example.com/faces/${i}.png` },
    attempts: isSent ? [attempt, { ...attempt, at: attempt.at + 500 }] : [],
    firstSeenAt,
    notBefore: null,
  };
}

/** Fills a Redis with dead letters in the form in which settle stores them. A million take about a minute. */
export async function floodLetters(redis: RedisClient, keys: Keys, count: number): Promise<void> {
  const [seconds] = await redis.time();
  const newestMs = Number(seconds) * 1_000 - 60_000;
  const write = (from: number): Promise<unknown> => {
    const letters = Array.from({ length: Math.min(AT_A_TIME, count - from) }, (_, j) => {
      const letter = letterAt(from + j, count, newestMs);
      const { eventId, userId, reason, errorCode, firstSeenAt } = letter;
      const deadAt = String(firstSeenAt + 2_000);
      return {
        ...{ eventId, userId, reason, deadAt },
        code: String(errorCode),
        letter: JSON.stringify(letter),
      };
    });
    return askScript(redis, floodScript, keys, { letters });
  };
  for (let from = 0; from < count; from += AT_A_TIME * AT_ONCE) {
    const starts = Array.from({ length: AT_ONCE }, (_, k) => from + k * AT_A_TIME);
    await Promise.all(starts.filter((start) => start < count).map(write));
  }
}
