import { compareEventIds } from '../../event/event.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { AppRedis } from '../../redis/keys.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import { askScript, loadScript } from '../../redis/script.ts';
import {
  type DeadReason,
  type DeathSpan,
  deadReasons,
  deathSpan,
  indexOf,
  isMeant,
  type LetterFilter,
  type LetterState,
  letterStates,
  readLetter,
  type StoredLetter,
} from './dead-letters.ts';

const deleteScript = loadScript(import.meta.url, 'letter-index.lua', 'delete-letters.lua');

/** A letter may take a few hundred KB at worst, so that a page stays small and Redis is never long at it. */
const PAGE_SIZE = 100;

/**
 * Letters, oldest first, page by page, so that millions of them fit in no memory at once. A letter that is
 * meant from the beginning to the end comes exactly once, whatever comes, goes and dies meanwhile; what dies
 * after the beginning does not come. With state `all` the states come in turn: dead, redriving, resolved.
 */
export async function* listDeadLetters(
  app: AppRedis,
  filter: LetterFilter = { state: 'dead' },
  pageSize = PAGE_SIZE,
): AsyncGenerator<StoredLetter> {
  for await (const letters of listLetterPages(app, filter, pageSize)) yield* letters;
}

/** The same, some letters at a time: a turn for each of them is a good part of what a long list costs. */
export async function* listLetterPages(
  app: AppRedis,
  filter: LetterFilter,
  pageSize = PAGE_SIZE,
): AsyncGenerator<StoredLetter[]> {
  const span = deathSpan(filter, filter.asOfMs ?? (await newestDeathMs(app)));
  let left = filter.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for (const state of filter.state === 'all' ? letterStates : [filter.state]) {
    const own = { ...filter, state };
    for await (const letters of readAhead(app, pagesOfIds(app, own, span, pageSize))) {
      const meant = letters.filter((letter) => isMeant(letter, own, span)).slice(0, left);
      yield meant;
      left -= meant.length;
      if (left <= 0) return;
    }
  }
}

/** Event IDs of letters of one state, page by page in the order of the listing; others than those meant are among them. */
export function pagesOfIds(
  app: AppRedis,
  filter: LetterFilter & { readonly state: LetterState },
  span: DeathSpan,
  pageSize: number,
): AsyncGenerator<string[]> {
  const { redis, keys } = app;
  const index = indexOf(filter, filter.state);
  if (index === 'time') return pagesByTime(app, filter.state, span, pageSize);
  const key = { user: keys.deadByUser, reason: keys.deadByReason }[index.by];
  return mergedPages(
    index.prefixes.map((prefix) => pagesByName(redis, key, prefix, pageSize)),
    pageSize,
  );
}

/** Reads a page while the one before it is worked on. */
async function* readAhead(app: AppRedis, pages: AsyncGenerator<string[]>): AsyncGenerator<StoredLetter[]> {
  const read = async (): Promise<StoredLetter[] | undefined> => {
    const { value, done } = await pages.next();
    return done === true ? undefined : readLetters(app, value);
  };
  let ahead = read();
  for (let letters = await ahead; letters !== undefined; letters = await ahead) {
    ahead = read();
    // A reader that stops never hears of it.
    ahead.catch(() => undefined);
    yield letters;
  }
}

/** The letters that exist of these, in their order. */
export async function readLetters(
  { redis, keys }: AppRedis,
  eventIds: readonly string[],
): Promise<StoredLetter[]> {
  const replies = await redis.pipeline(eventIds.map((id) => ['hgetall', keys.deadPrefix + id])).exec();
  return (replies ?? []).flatMap(([error, fields], i) => {
    if (error) throw error;
    return readLetter(eventIds[i] ?? '', fields as Record<string, string>) ?? [];
  });
}

/** Merges lists of event IDs, each in order of age, into one. A single list passes in its own order. */
async function* mergedPages(
  lists: readonly AsyncGenerator<string[]>[],
  pageSize: number,
): AsyncGenerator<string[]> {
  const [only, ...others] = lists;
  if (only !== undefined && others.length === 0) return yield* only;
  const heads: { ids: string[]; list: AsyncGenerator<string[]> }[] = [];
  for (const list of lists) {
    const { value: ids, done } = await list.next();
    if (done !== true) heads.push({ ids, list });
  }
  let page: string[] = [];
  while (heads.length > 0) {
    const first = heads.reduce((a, b) => (compareEventIds(a.ids[0] ?? '', b.ids[0] ?? '') <= 0 ? a : b));
    page.push(...first.ids.splice(0, heads.length === 1 ? first.ids.length : 1));
    if (first.ids.length === 0) {
      const { value, done } = await first.list.next();
      if (done === true) heads.splice(heads.indexOf(first), 1);
      else first.ids = value;
    }
    if (page.length >= pageSize || heads.length === 0) {
      if (page.length > 0) yield page;
      page = [];
    }
  }
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
    const last = members.at(-1);
    if (last === undefined) return;
    // A page takes in all of its last millisecond, whose events stand in the order of text: …-1, …-10, …-2.
    const endOfMs = `${last.slice(0, last.lastIndexOf('-'))}-:`;
    members.push(...(await redis.zrange(key, `(${last}`, `(${endOfMs}`, 'BYLEX')));
    const sorted = members.sort(
      (a, b) =>
        Number(nameIn(a) > nameIn(b)) - Number(nameIn(a) < nameIn(b)) ||
        compareEventIds(eventIdIn(a), eventIdIn(b)),
    );
    yield* pagesOf(sorted.map(eventIdIn), pageSize);
    after = `(${endOfMs}`;
  }
}

function* pagesOf(eventIds: string[], pageSize: number): Generator<string[]> {
  for (let at = 0; at < eventIds.length; at += pageSize) yield eventIds.slice(at, at + pageSize);
}

function eventIdIn(member: string): string {
  return member.slice(member.lastIndexOf(' ') + 1);
}

function nameIn(member: string): string {
  return member.slice(0, member.lastIndexOf(' '));
}

async function* pagesByTime(
  { redis, keys }: AppRedis,
  state: LetterState,
  span: DeathSpan,
  pageSize: number,
): AsyncGenerator<string[]> {
  const key = { dead: keys.deadByTime, redriving: keys.deadRedriving, resolved: keys.deadResolved }[state];
  // The other lists are ordered by another time than that of the death. A letter dies before it is redriven
  // or resolved, so one that came into these lists since the beginning may be meant: they are read up to now.
  const untilMs = state === 'dead' ? span.toMs : Math.floor(await ownerTimeMs(redis, keys));
  for (let from = state === 'dead' ? String(span.fromMs) : '0'; ; ) {
    const page = await redis.zrange(
      key,
      from,
      String(untilMs),
      'BYSCORE',
      'LIMIT',
      0,
      pageSize,
      'WITHSCORES',
    );
    const last = page.at(-1);
    if (last === undefined) return;
    // Ranks shift when letters go meanwhile, but times stay. So a page takes in all of its last millisecond.
    const rest = await redis.zrange(key, last, last, 'BYSCORE');
    const deathOf = new Map(rest.map((eventId) => [eventId, last]));
    for (let i = 0; i + 1 < page.length; i += 2) deathOf.set(page[i] ?? '', page[i + 1] ?? '');
    // Redis has what died in one millisecond in the order of text: …-1, …-10, …-2.
    const eventIds = [...deathOf.keys()].sort(
      (a, b) => Number(deathOf.get(a)) - Number(deathOf.get(b)) || compareEventIds(a, b),
    );
    yield* pagesOf(eventIds, pageSize);
    from = `(${last}`;
  }
}

/** Now, or the newest death of all, should Redis's clock have been set back since. */
export async function newestDeathMs({ redis, keys }: AppRedis): Promise<number> {
  const [, newest = '0'] = await redis.zrange(keys.deadByTime, '-1', '-1', 'WITHSCORES');
  return Math.max(Math.floor(await ownerTimeMs(redis, keys)), Number(newest));
}

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

const MAX_USER_LETTERS = 100;
const RESOLVED_LOOKED = 10_000;

/** `inCall`: events of the user that are in a call, whose letters may be those of a redrive. */
export async function findLetters(
  app: AppRedis,
  userId: string,
  inCall: readonly string[],
): Promise<UserLetters> {
  const { redis, keys } = app;
  const letters = await readLetters(app, inCall);
  const filter = { state: 'dead', userId, limit: MAX_USER_LETTERS + 1 } as const;
  for await (const letter of listDeadLetters(app, filter)) letters.push(letter);
  const cut = letters.length - inCall.length > MAX_USER_LETTERS;
  const looked = await redis.zrevrange(keys.deadResolved, 0, RESOLVED_LOOKED - 1);
  letters.push(...(await ownLetters(app, userId, looked)));
  const known = new Map(letters.map((letter) => [letter.eventId, letter]));
  return {
    letters: [...known.values()].sort((a, b) => b.deadSince - a.deadSince),
    resolvedTotal: await redis.zcard(keys.deadResolved),
    resolvedLooked: looked.length,
    cut,
  };
}

/** Those of these letters that are the user's. */
async function ownLetters(
  app: AppRedis,
  userId: string,
  eventIds: readonly string[],
): Promise<StoredLetter[]> {
  const { redis, keys } = app;
  const replies = await redis.pipeline(eventIds.map((id) => ['hget', keys.deadPrefix + id, 'userId'])).exec();
  const own = eventIds.filter((_, i) => {
    const [error, found] = replies?.[i] ?? [];
    if (error) throw error;
    // Only the letter itself knows an ID that is not valid.
    return found === userId || found === '';
  });
  const letters = own.length === 0 ? [] : await readLetters(app, own);
  return letters.filter((letter) => letter.userId === userId);
}

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
export async function summarizeLetters(app: AppRedis): Promise<LetterSummary> {
  const { redis, keys } = app;
  const codes = Object.keys(await redis.hgetall(keys.deadCounts)).flatMap((name) =>
    name.startsWith('code:') ? [name.slice('code:'.length)] : [],
  );
  const groups: LetterGroup[] = [];
  for (const reason of deadReasons) {
    for (const code of codes) {
      const [from, to] = [`[${reason} ${code} `, `(${reason} ${code}!`];
      const count = await redis.zlexcount(keys.deadByReason, from, to);
      if (count === 0) continue;
      const [member = ''] = await redis.zrevrangebylex(keys.deadByReason, to, from, 'LIMIT', 0, 1);
      const [newest = null] = await readLetters(app, [eventIdIn(member)]);
      groups.push({ reason, errorCode: Number(code), count, newest });
    }
  }
  return {
    total: groups.reduce((sum, { count }) => sum + count, 0),
    groups: groups.sort((a, b) => b.count - a.count),
    redriving: await redis.zcard(keys.deadRedriving),
    resolved: await redis.zcard(keys.deadResolved),
  };
}

/**
 * - `gone`: was deleted meanwhile.
 * - `redriving`: its event is in a call, which decides about it.
 * - `changed`: it died again since it was read, so it may not be what was meant.
 */
export type Deletion = 'deleted' | 'gone' | 'redriving' | 'changed';

/** Forgets letters as they were read: one answer for each. A hundred or so at a time. */
export async function deleteLetters(
  { redis, keys }: AppRedis,
  letters: readonly Pick<StoredLetter, 'eventId' | 'deadSince'>[],
): Promise<Deletion[]> {
  if (letters.length === 0) return [];
  const request = { letters: letters.flatMap(({ eventId, deadSince }) => [eventId, String(deadSince)]) };
  return (await askScript(redis, deleteScript, keys, request)) as Deletion[];
}
