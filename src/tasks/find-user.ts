import { compareEventIds } from '../event/event.ts';
import { ANY_USER, checkUserId } from '../event/user-id.ts';
import { readFleetState } from '../hold/hold-state.ts';
import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import { findLetters, type UserLetters } from '../ledger/letters/letter-store.ts';
import { namedUser } from '../ledger/record.ts';
import { findPlaces, type UserCall, type UserPlaces } from '../ledger/user-places.ts';
import type { AppRedis } from '../redis/keys.ts';
import type { Presence } from './check-users.ts';

/**
 * What is known of one user, for `imsync user show --json` and GET /v1/users/{id}. Times in ms since 1970.
 */
export interface UserReport {
  readonly userId: string;
  /**
   * The first of these that is true.
   * - `in-call`: an event of the user is in a call, which goes out, or is retried, by itself.
   * - `waiting`: an event of the user waits for a call.
   * - `dead-lettered`: the user's last event ended without an import, or without its profile.
   * - `imported`: the API says that the account exists.
   * - `missing`: the API says that the account does not exist, and no event of the user is on its way.
   * - `unknown`: nothing was found; `unchecked` names the places that were not looked at.
   */
  readonly state: 'in-call' | 'waiting' | 'dead-lettered' | 'imported' | 'missing' | 'unknown';
  /** Whether the account exists; null when that is not known. */
  readonly hasAccount: boolean | null;
  /** Why no calls are made at present; null while they are. */
  readonly stopped: 'held' | 'paused' | null;
  readonly call: UserCall | null;
  /** Events that wait for the end of that call. */
  readonly parked: { readonly count: number; readonly eventIds: readonly string[] };
  /** Events that wait for a call, oldest first. */
  readonly waiting: readonly { readonly eventId: string; readonly place: 'returned' | 'stream' }[];
  /** Dead letters, resolved ones included, newest death first. */
  readonly letters: readonly StoredLetter[];
  /** What account_check said; null when it was not asked. */
  readonly api: Presence | null;
  /** One sentence for each place that was not looked at, or not completely. */
  readonly unchecked: readonly string[];
}

/** Entries of the stream that are looked at from each end. */
const STREAM_LOOKED = 10_000;
const PAGE = 1_000;

export interface FindOptions extends AppRedis {
  readonly userId: string;
  /** Asks account_check. Rejects with the reason why it cannot. Without it `whyNot` says why. */
  readonly askApi?: (userId: string) => Promise<Presence>;
  readonly whyNot?: string;
}

/**
 * Finds out where a user is. Changes nothing. Asks the API only when no event of the user is on its way.
 * Rejects when Redis does not answer.
 */
export async function findUser(options: FindOptions): Promise<UserReport> {
  const { userId } = options;
  // The stream first: an event that leaves it meanwhile comes into a place that is looked at later.
  const stream = await lookInStream(options);
  const places = await findPlaces(options, userId);
  const { call } = places;
  const inCall = call?.eventIds ?? [];
  const found = await findLetters(options, userId, inCall);
  const unchecked = uncheckedPlaces(stream, places, found);
  const { hold, pause } = readFleetState(places.fleet);
  const stopped = pause !== null ? 'paused' : hold !== null ? 'held' : null;
  const elsewhere = new Set([...inCall, ...places.parkedIds, ...places.returnedIds]);
  const inStream = stream.eventIds.filter((eventId) => !elsewhere.has(eventId));
  const waiting = [
    ...places.returnedIds.map((eventId) => ({ eventId, place: 'returned' as const })),
    ...inStream.map((eventId) => ({ eventId, place: 'stream' as const })),
  ];
  const everywhere = stream.looked >= stream.total && places.returnedLooked >= places.returnedTotal;
  const onTheWay = call !== null || waiting.length > 0;
  const api = onTheWay ? null : await ask(options, stopped, unchecked);
  const dead = found.letters.filter(({ state }) => state === 'dead');
  return {
    userId,
    state: stateOf(call !== null, waiting.length > 0, dead.length > 0, api, everywhere),
    hasAccount: hasAccount(api, call, found.letters),
    stopped,
    call,
    parked: { count: places.parked, eventIds: places.parkedIds },
    waiting,
    letters: found.letters,
    api,
    unchecked,
  };
}

/** One sentence for each place that was not read completely. */
function uncheckedPlaces(
  stream: Awaited<ReturnType<typeof lookInStream>>,
  places: UserPlaces,
  found: UserLetters,
): string[] {
  const { call, returnedLooked, returnedTotal } = places;
  const { resolvedLooked, resolvedTotal } = found;
  const unchecked: string[] = [];
  if (stream.looked < stream.total)
    unchecked.push(
      `the stream holds ${stream.total} events: only the oldest and newest ${STREAM_LOOKED} were looked at`,
    );
  if (returnedLooked < returnedTotal)
    unchecked.push(
      `the front of the intake holds ${returnedTotal} events: only ${returnedLooked} were looked at`,
    );
  if (resolvedLooked < resolvedTotal)
    unchecked.push(
      `there are ${resolvedTotal} resolved dead letters: only the newest ${resolvedLooked} were looked at`,
    );
  if (found.cut)
    unchecked.push('the user has more than 100 dead letters: imsync dlq list --user shows them all');
  if (call?.command === '')
    unchecked.push(`call ${call.callId} was written by another version, which this one cannot read`);
  return unchecked;
}

/** Asks the API; null when it cannot be asked, which is added to `unchecked`. */
async function ask(
  { userId, askApi, whyNot }: FindOptions,
  stopped: UserReport['stopped'],
  unchecked: string[],
): Promise<Presence | null> {
  const problems: string[] = [];
  checkUserId(problems, userId, true, ANY_USER);
  let why: string;
  if (problems[0] !== undefined) why = `${problems[0]}, so it can have no account`;
  else if (stopped !== null) why = `all calls are ${stopped} (imsync status)`;
  else if (askApi === undefined) why = whyNot ?? 'no check was requested';
  else {
    try {
      return await askApi(userId);
    } catch (error) {
      why = (error as Error).message;
    }
  }
  unchecked.push(`the API was not asked whether the account exists: ${why}`);
  return null;
}

function stateOf(
  inCall: boolean,
  waits: boolean,
  dead: boolean,
  api: Presence | null,
  everywhere: boolean,
): UserReport['state'] {
  if (inCall) return 'in-call';
  if (waits) return 'waiting';
  if (dead) return 'dead-lettered';
  if (api === null || api.kind === 'refused') return 'unknown';
  // An event that will make the account may wait in a place that was not looked at.
  return api.kind === 'missing' && !everywhere ? 'unknown' : api.kind;
}

/** The API's present answer counts more than what the user's call or a dead letter says. */
function hasAccount(
  api: Presence | null,
  call: UserCall | null,
  letters: readonly StoredLetter[],
): boolean | null {
  if (api?.kind === 'imported') return true;
  if (api?.kind === 'missing') return false;
  const wasImported =
    call?.suspicion?.hasAccount === true ||
    letters.some((letter) => letter.hasAccount === true || letter.state === 'resolved');
  return wasImported ? true : null;
}

/**
 * Looks at the oldest and the newest entries: a stream of a million is too long to read for each question.
 */
async function lookInStream({ redis, keys, userId }: FindOptions) {
  const total = await redis.xlen(keys.stream);
  const eventIds = new Set<string>();
  let looked = 0;
  const look = async (most: number, edge: string, page: (edge: string) => Promise<[string, string[]][]>) => {
    for (let [left, from] = [most, edge]; left > 0; left -= PAGE) {
      const entries = await page(from);
      looked += entries.length;
      for (const [eventId, fields] of entries) if (namedUser(fields) === userId) eventIds.add(eventId);
      if (entries.length < PAGE) return;
      from = `(${entries.at(-1)?.[0]}`;
    }
  };
  await look(STREAM_LOOKED, '-', (from) => redis.xrange(keys.stream, from, '+', 'COUNT', PAGE));
  await look(Math.min(total - STREAM_LOOKED, STREAM_LOOKED), '+', (from) =>
    redis.xrevrange(keys.stream, from, '-', 'COUNT', PAGE),
  );
  return { eventIds: [...eventIds].sort(compareEventIds), looked, total };
}
