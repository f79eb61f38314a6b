import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { type DeadReason, deadReasons, type StoredLetter } from './dead-letters.ts';
import { readLetters } from './letter-store.ts';

/** Unresolved letters of one reason and error code. */
export interface LetterGroup {
  readonly reason: DeadReason;
  readonly errorCode: number;
  readonly count: number;
  /** The letter of the newest event; null when it went while it was read. */
  readonly newest: StoredLetter | null;
}

export interface LetterSummary {
  /** Unresolved letters. */
  readonly total: number;
  /** Most letters first. */
  readonly groups: readonly LetterGroup[];
  /** Letters whose event is in a call again. */
  readonly redriving: number;
  readonly resolved: number;
}

/** From the indexes alone: the cost grows with the number of distinct codes, not with that of the letters. */
export async function summarizeLetters(redis: RedisClient, keys: Keys): Promise<LetterSummary> {
  const codes = Object.keys(await redis.hgetall(keys.deadCounts)).flatMap((name) =>
    name.startsWith('code:') ? [name.slice('code:'.length)] : [],
  );
  const names = deadReasons.flatMap((reason) => codes.map((code) => ({ reason, code })));
  const groups: LetterGroup[] = [];
  for (const { reason, code } of names) {
    const [from, to] = [`[${reason} ${code} `, `(${reason} ${code}!`];
    const count = await redis.zlexcount(keys.deadByReason, from, to);
    if (count === 0) continue;
    const [member = ''] = await redis.zrevrangebylex(keys.deadByReason, to, from, 'LIMIT', 0, 1);
    const [newest = null] = await readLetters(redis, keys, [member.slice(member.lastIndexOf(' ') + 1)]);
    groups.push({ reason, errorCode: Number(code), count, newest });
  }
  return {
    total: groups.reduce((sum, { count }) => sum + count, 0),
    groups: groups.sort((a, b) => b.count - a.count),
    redriving: await redis.zcard(keys.deadRedriving),
    resolved: await redis.zcard(keys.deadResolved),
  };
}
