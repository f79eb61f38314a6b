import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import type { StoredLetter } from './dead-letters.ts';
import { listDeadLetters, readLetters } from './letter-store.ts';

/** Letters of one user. Resolved ones have no index by user: the newest of all are looked through. */
export interface UserLetters {
  /** Newest death first. */
  readonly letters: readonly StoredLetter[];
  /** Resolved letters there are, of everybody, and how many of them were looked at. */
  readonly resolvedTotal: number;
  readonly resolvedLooked: number;
  /** There are more unresolved ones than are answered. */
  readonly cut: boolean;
}

const MAX_LETTERS = 100;
const RESOLVED_LOOKED = 10_000;
const PAGE = 1_000;

/** `inCall`: events of the user that are in a call, whose letters may be those of a redrive. */
export async function findLetters(
  redis: RedisClient,
  keys: Keys,
  userId: string,
  inCall: readonly string[],
): Promise<UserLetters> {
  const letters: StoredLetter[] = await readLetters(redis, keys, inCall);
  for await (const letter of listDeadLetters(redis, keys, { state: 'dead', userId, limit: MAX_LETTERS + 1 }))
    letters.push(letter);
  const cut = letters.length - inCall.length > MAX_LETTERS;
  let looked = 0;
  while (looked < RESOLVED_LOOKED) {
    const page = await redis.zrevrange(keys.deadResolved, looked, looked + PAGE - 1);
    if (page.length === 0) break;
    looked += page.length;
    const own = await ownLetters(redis, keys, userId, page);
    letters.push(...own.slice(0, MAX_LETTERS));
  }
  const known = new Map(letters.map((letter) => [letter.eventId, letter]));
  return {
    letters: [...known.values()].sort((a, b) => b.deadSince - a.deadSince),
    resolvedTotal: await redis.zcard(keys.deadResolved),
    resolvedLooked: looked,
    cut,
  };
}

/** Those of these letters that are the user's. */
export async function ownLetters(
  redis: RedisClient,
  keys: Keys,
  userId: string,
  eventIds: readonly string[],
): Promise<StoredLetter[]> {
  const replies = await redis.pipeline(eventIds.map((id) => ['hget', keys.deadPrefix + id, 'userId'])).exec();
  const own = eventIds.filter((_, i) => {
    const [error, found] = replies?.[i] ?? [];
    if (error) throw error;
    // Of an ID that is none, only the letter itself knows.
    return found === userId || found === '';
  });
  const letters = own.length === 0 ? [] : await readLetters(redis, keys, own);
  return letters.filter((letter) => letter.userId === userId);
}
