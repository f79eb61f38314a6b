import type { AppRedis } from '../../redis/keys.ts';
import {
  type DeathSpan,
  deathSpan,
  indexOf,
  isMeant,
  type LetterFilter,
  type LetterState,
  letterStates,
  type StoredLetter,
} from './dead-letters.ts';
import { newestDeathMs, readLetters } from './letter-store.ts';

/**
 * Pages of letters for a person who turns them: newest first, and a page costs the same wherever it lies. A
 * cursor says where the page before ended. Letters that die meanwhile stand before the first page.
 */
export interface LetterPage {
  readonly letters: readonly StoredLetter[];
  /** The cursor of the next page; null at the end. */
  readonly next: LetterCursor | null;
}

/** Where a page ended: in the list of this state, after this member. `score`: its time, in lists by time. */
export interface LetterCursor {
  readonly state: LetterState;
  readonly member: string;
  readonly score: string;
  /** The listing is of this time: what died later does not come. */
  readonly asOfMs: number;
}

/**
 * Whether a cursor stands in a list of this filter. One that somebody made up would lead into the list of another
 * user, and the next cursor would name that user. Pure.
 */
export function isCursorOf({ state, member, score }: LetterCursor, filter: LetterFilter): boolean {
  if (filter.state !== 'all' && filter.state !== state) return false;
  if (member === '') return score === '';
  const index = indexOf({ ...filter, state }, state);
  if (index === 'time') return /^\d{1,20}-\d{1,20}$/.test(member) && /^\d{1,16}$/.test(score);
  // Below a reason stand its codes.
  const isInside = (prefix: string): boolean =>
    member.startsWith(`${prefix} `) && /^ (?:\d+ )?\d{1,20}-\d{1,20}$/.test(member.slice(prefix.length));
  return score === '' && index.prefixes.some(isInside);
}

/** Letters that are looked at for a page. A filter that few of them match gives short pages, not slow ones. */
const MOST_LOOKED = 1_000;
const AT_A_TIME = 100;

export async function pageOfLetters(
  app: AppRedis,
  filter: LetterFilter,
  limit: number,
  cursor: LetterCursor | null,
): Promise<LetterPage> {
  const asOfMs = cursor?.asOfMs ?? (await newestDeathMs(app));
  const span = deathSpan(filter, asOfMs);
  const states = filter.state === 'all' ? letterStates : [filter.state];
  const letters: StoredLetter[] = [];
  let looked = 0;
  let at = cursor ?? startOf(states[0] ?? 'dead', asOfMs);
  for (;;) {
    const own = { ...filter, state: at.state };
    const members = await membersAfter(app, own, span, at);
    for (const letter of await readLetters(
      app,
      members.map(({ member }) => eventIdIn(member)),
    )) {
      looked++;
      at = { ...at, ...(members.find(({ member }) => eventIdIn(member) === letter.eventId) ?? {}) };
      if (isMeant(letter, own, span)) letters.push(letter);
      if (letters.length === limit || looked === MOST_LOOKED) return { letters, next: at };
    }
    const last = members.at(-1);
    if (last !== undefined) {
      at = { ...at, ...last };
      continue;
    }
    const following = states[states.indexOf(at.state) + 1];
    if (following === undefined) return { letters, next: null };
    at = startOf(following, asOfMs);
  }
}

function startOf(state: LetterState, asOfMs: number): LetterCursor {
  return { state, member: '', score: '', asOfMs };
}

interface Member {
  readonly member: string;
  readonly score: string;
}

/** The members that follow the cursor in the index that leads to these letters, newest first. */
async function membersAfter(
  app: AppRedis,
  filter: LetterFilter & { readonly state: LetterState },
  span: DeathSpan,
  at: LetterCursor,
): Promise<Member[]> {
  const { redis, keys } = app;
  const index = indexOf(filter, filter.state);
  if (index === 'time') return membersByTime(app, filter.state, span, at);
  const { by, prefixes } = index;
  const key = by === 'user' ? keys.deadByUser : keys.deadByReason;
  const found = await Promise.all(
    prefixes.map((prefix) => {
      const after = prefixes.length === 1 ? at.member : `${prefix} ${eventIdIn(at.member)}`;
      const from = at.member === '' ? `(${prefix}!` : `(${after}`;
      return redis.zrevrangebylex(key, from, `[${prefix} `, 'LIMIT', 0, AT_A_TIME);
    }),
  );
  const members = found.flat();
  // A cursor names one place in all lists, so they are merged by the ID, in the order of the bytes as each is.
  if (prefixes.length > 1) members.sort((a, b) => (eventIdIn(a) < eventIdIn(b) ? 1 : -1)).splice(AT_A_TIME);
  return members.map((member) => ({ member, score: '' }));
}

/** Letters of one millisecond stand in the order of the bytes; a page may end among them. */
async function membersByTime(
  { redis, keys }: AppRedis,
  state: LetterState,
  span: DeathSpan,
  at: LetterCursor,
): Promise<Member[]> {
  // The lists of other states have another time than that of the death, by which the filter goes.
  const [newest, oldest] = state === 'dead' ? [String(span.toMs), String(span.fromMs)] : ['+inf', '-inf'];
  const from = at.score === '' ? newest : at.score;
  for (let offset = 0; ; offset += AT_A_TIME) {
    const range = [from, oldest, 'WITHSCORES', 'LIMIT', offset, AT_A_TIME] as const;
    const flat = await {
      dead: () => redis.zrevrangebyscore(keys.deadByTime, ...range),
      redriving: () => redis.zrevrangebyscore(keys.deadRedriving, ...range),
      resolved: () => redis.zrevrangebyscore(keys.deadResolved, ...range),
    }[state]();
    const members: Member[] = [];
    for (let i = 0; i < flat.length; i += 2)
      members.push({ member: flat[i] ?? '', score: flat[i + 1] ?? '' });
    const fresh = members.filter(({ member, score }) => score !== at.score || member < at.member);
    if (fresh.length > 0 || members.length === 0) return fresh;
  }
}

function eventIdIn(member: string): string {
  return member.slice(member.lastIndexOf(' ') + 1);
}
