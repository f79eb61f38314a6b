import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';

const totalsScript = loadScript(import.meta.url, 'oldest-waiting.lua', 'totals.lua');

/**
 * Where every event is at one moment:
 * accepted = waiting + parked + users in calls + imported + superseded + deadLettered, always.
 */
export interface Totals {
  /** Redis's clock, ms since 1970. */
  readonly nowMs: number;
  /** Entries in the stream or back from parking. */
  readonly waiting: number;
  /**
   * Entries held back because a call of their user is on its way; older ones that ride along in it included.
   */
  readonly parked: number;
  /** Users in call records, by command; each stands for the one event that is sent for it. */
  readonly usersInCalls: Readonly<Record<string, number>>;
  readonly oldestWaitingMs: number | null;
  /** Age of the oldest event that has not ended, wherever it is: waiting, parked, in a call, put off. */
  readonly oldestUnfinishedMs: number | null;
  /** Open calls in which all users are suspected: each is retried alone (delivery/policy/fails-alone.ts). */
  readonly suspectedCalls: number;
  readonly accepted: number;
  readonly imported: number;
  readonly superseded: number;
  /** Events that ended as a dead letter and were not made up for since. */
  readonly deadLettered: number;
  /** Dead-lettered ones that somebody had erased while they were on their way (user forget). */
  readonly forgotten: number;
  readonly deadByReason: Readonly<Record<string, number>>;
  readonly deadByCode: Readonly<Record<string, number>>;
  readonly oldestLetterMs: number | null;
}

/** Keeps the times (ms since 1970) that there are. */
type TotalsReply = Record<'books' | 'deadCounts', unknown> &
  Record<'nowMs' | 'inStream' | 'returned' | 'suspectedCalls' | 'unaccounted', number> &
  Partial<Record<'oldestWaitingMs' | 'oldestOpenMs' | 'oldestLetterMs', number>>;

/** One script, so that no event is counted twice or missed while it moves. */
export async function readTotals(redis: RedisClient, keys: Keys): Promise<Totals> {
  const reply = fieldsOf<TotalsReply>(await askScript(redis, totalsScript, keys));
  const { nowMs, inStream, oldestWaitingMs, suspectedCalls } = reply;
  const books = fieldsOf(reply.books);
  const dead = fieldsOf(reply.deadCounts);
  const count = (name: string): number => Number(books[name] ?? 0);
  const usersInCalls = withPrefix(books, 'users:');
  const users = Object.values(usersInCalls).reduce((sum, n) => sum + n, 0);
  return {
    nowMs,
    waiting: inStream + reply.returned,
    parked: count('parked') + (count('events') - users),
    usersInCalls,
    oldestWaitingMs: ageOf(nowMs, oldestWaitingMs),
    // A parked event is newer than those of its user's call.
    oldestUnfinishedMs: ageOf(nowMs, oldestWaitingMs, reply.oldestOpenMs),
    suspectedCalls,
    accepted: inStream + count('taken'),
    imported: count('imported'),
    superseded: count('superseded'),
    deadLettered: count('dead'),
    forgotten: count('forgotten'),
    deadByReason: withPrefix(dead, 'reason:'),
    deadByCode: withPrefix(dead, 'code:'),
    oldestLetterMs: ageOf(nowMs, reply.oldestLetterMs),
  };
}

/** The greatest age of these times in ms; never below 0, should the clock have been set back. */
function ageOf(nowMs: number, ...times: (number | undefined)[]): number | null {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? null : Math.max(0, nowMs - Math.min(...known));
}

function withPrefix(counts: Readonly<Record<string, string>>, prefix: string): Record<string, number> {
  const found = Object.entries(counts).filter(([name, n]) => name.startsWith(prefix) && Number(n) !== 0);
  return Object.fromEntries(found.map(([name, n]) => [name.slice(prefix.length), Number(n)]));
}

/** Beyond this the check would keep Redis from others; back-pressure keeps far fewer open. */
const MOST_OPEN = 20_000;

/**
 * Events that the books count in calls, less those that the open calls hold. 0, or there is a bug of ours:
 * above 0 a record is orphaned, which nothing would ever work on.
 */
export async function unaccountedEvents(redis: RedisClient, keys: Keys): Promise<number> {
  const reply = await askScript(redis, totalsScript, keys, { mostOpen: MOST_OPEN });
  return fieldsOf<TotalsReply>(reply).unaccounted;
}
