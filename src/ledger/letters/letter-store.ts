import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { loadScript, runScript } from '../../redis/script.ts';
import { type LetterState, letterStates, readLetter, type StoredLetter } from './dead-letters.ts';
import { type DeathSpan, deathSpan, indexOf, isMeant, type LetterFilter } from './letter-filter.ts';

const pageScript = loadScript(import.meta.url, 'letter-page.lua');

/** A letter may take a few hundred KB at worst, so that a page stays small and Redis is never long at it. */
const PAGE_SIZE = 100;

/**
 * Letters, oldest first, page by page, so that millions of them fit in no memory at once. A letter that is meant
 * from the beginning to the end comes exactly once, whatever comes, goes and dies meanwhile; what dies after the
 * beginning does not come. With state `all` the states come one after another: dead, redriving, resolved.
 */
export async function* listDeadLetters(
  redis: RedisClient,
  keys: Keys,
  filter: LetterFilter = { state: 'dead' },
  pageSize = PAGE_SIZE,
): AsyncGenerator<StoredLetter> {
  const span = deathSpan(filter, filter.asOfMs ?? (await newestDeathMs(redis, keys)));
  let left = filter.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for (const state of filter.state === 'all' ? letterStates : [filter.state]) {
    const own = { ...filter, state };
    for await (const eventIds of pages(redis, keys, own, state, span, pageSize)) {
      for (const letter of await readLetters(redis, keys, eventIds)) {
        if (!isMeant(letter, own, span)) continue;
        yield letter;
        left--;
        if (left <= 0) return;
      }
    }
  }
}

/** The letters that exist of these, in their order. */
export async function readLetters(
  redis: RedisClient,
  keys: Keys,
  eventIds: readonly string[],
): Promise<StoredLetter[]> {
  const replies = await redis
    .pipeline(eventIds.map((eventId) => ['hgetall', keys.deadPrefix + eventId]))
    .exec();
  const letters: StoredLetter[] = [];
  for (const [error, fields] of replies ?? []) {
    if (error) throw error;
    const letter = readLetter(fields as Record<string, string>);
    if (letter !== undefined) letters.push(letter);
  }
  return letters;
}

async function* pages(
  redis: RedisClient,
  keys: Keys,
  filter: LetterFilter,
  state: LetterState,
  span: DeathSpan,
  pageSize: number,
): AsyncGenerator<string[]> {
  const index = indexOf(filter, state);
  if (index.by !== 'time') {
    const key = { user: keys.deadByUser, code: keys.deadByCode, reason: keys.deadByReason }[index.by];
    yield* pagesByName(redis, key, index.prefix, pageSize);
    return;
  }
  // The other lists are ordered by another time than that of the death.
  yield* pagesByTime(redis, keys, state === 'dead' ? span : { fromMs: 0, toMs: span.toMs }, state, pageSize);
}

/** Members `prefix eventId`, in the order of the bytes: going on after the last one is stable by itself. */
async function* pagesByName(
  redis: RedisClient,
  key: string,
  prefix: string,
  pageSize: number,
): AsyncGenerator<string[]> {
  let after = `[${prefix} `;
  for (;;) {
    const members = await redis.zrange(key, after, `(${prefix}!`, 'BYLEX', 'LIMIT', 0, pageSize);
    if (members.length === 0) return;
    yield members.map((member) => member.slice(member.lastIndexOf(' ') + 1));
    after = `(${members.at(-1)}`;
  }
}

async function* pagesByTime(
  redis: RedisClient,
  keys: Keys,
  span: DeathSpan,
  state: LetterState,
  pageSize: number,
): AsyncGenerator<string[]> {
  const key = { dead: keys.deadByTime, redriving: keys.deadRedriving, resolved: keys.deadResolved }[state];
  // A letter dies before it is redriven or resolved: those who came into these lists since the beginning may be
  // meant. They come to an end with their list's growth at the beginning.
  const untilMs = state === 'dead' ? span.toMs : Math.floor(await ownerTimeMs(redis, keys));
  let last: readonly [time: string, eventId: string] = ['', ''];
  for (;;) {
    const flat = (await runScript(redis, pageScript, [key], [...last, span.fromMs, pageSize])) as string[];
    const eventIds: string[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      last = [flat[i + 1] ?? '', flat[i] ?? ''];
      if (Number(last[0]) <= untilMs) eventIds.push(last[1]);
    }
    if (eventIds.length > 0) yield eventIds;
    if (flat.length === 0 || Number(last[0]) > untilMs) return;
  }
}

/** Now, or the newest death of all, should Redis's clock have been set back since. */
export async function newestDeathMs(redis: RedisClient, keys: Keys): Promise<number> {
  const [, newest = '0'] = await redis.zrange(keys.deadByTime, '-1', '-1', 'WITHSCORES');
  return Math.max(Math.floor(await ownerTimeMs(redis, keys)), Number(newest));
}
