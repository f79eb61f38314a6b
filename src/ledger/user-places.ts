import type { AppRedis } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';
import {
  type Attempt,
  attemptsOf,
  entriesOf,
  namedUser,
  RECORD_FORMAT,
  readRecord,
  type Suspicion,
} from './record.ts';

const placesScript = loadScript(import.meta.url, 'user-places.lua');

/**
 * Where the events of one user are at one moment, but for the stream. Times in ms since 1970, Redis's clock.
 */
export interface UserPlaces {
  /** The call that the user is in; null in none. */
  readonly call: UserCall | null;
  readonly parked: number;
  /** The first of them. */
  readonly parkedIds: readonly string[];
  /** Events of theirs that came back to the front of the intake. */
  readonly returnedIds: readonly string[];
  readonly returnedTotal: number;
  /** Entries of that list that were looked at: all, unless it is long. */
  readonly returnedLooked: number;
  /** Fields of the fleet's hold and pause. */
  readonly fleet: Readonly<Record<string, string>>;
}

export interface UserCall {
  readonly callId: string;
  /** '' for a call that another version wrote. */
  readonly command: string;
  readonly redrive: boolean;
  /** The user's events in it. The newest one is sent. */
  readonly eventIds: readonly string[];
  /** Users in the call, this one included. */
  readonly users: number;
  /** Transient failures so far. The next call is attempt `tries` + 1. */
  readonly tries: number;
  /** Set while the user is called alone, because the user's calls fail while those of others succeed. */
  readonly suspicion: Suspicion | null;
  /** Calls that were made for this user, oldest first. */
  readonly attempts: readonly Attempt[];
  /** When the call got its slot, while its answer is not known; null when it is not on the wire. */
  readonly sentAt: number | null;
  /** When the call is made again; null for its next slot. */
  readonly nextAt: number | null;
}

const MAX_PARKED_SHOWN = 100;
const RETURNED_LOOKED = 10_000;

/** Where the user is in no call, `callId` is null. */
type PlacesReply = Record<'nowMs' | 'parked' | 'returnedTotal' | 'returnedLooked', number> &
  Record<'parkedEntries' | 'returnedEntries', string[]> & {
    callId: string | null;
    call: unknown;
    fleet: unknown;
  };

export async function findPlaces({ redis, keys }: AppRedis, userId: string): Promise<UserPlaces> {
  const request = { userId, maxParked: MAX_PARKED_SHOWN, maxReturned: RETURNED_LOOKED };
  const reply = fieldsOf<PlacesReply>(await askScript(redis, placesScript, keys, request));
  const { nowMs, callId, parked, parkedEntries, returnedTotal, returnedLooked, returnedEntries } = reply;
  return {
    ...{ parked, returnedTotal, returnedLooked },
    call: callId === null ? null : readCall(userId, callId, nowMs, fieldsOf(reply.call)),
    parkedIds: entriesOf({ packed: `[${parkedEntries}]` }).map(({ eventId }) => eventId),
    returnedIds: ownIds(userId, `[${returnedEntries}]`),
    fleet: fieldsOf(reply.fleet),
  };
}

function readCall(
  userId: string,
  callId: string,
  nowMs: number,
  fields: Readonly<Record<string, string>>,
): UserCall {
  const record = Number(fields.v) === RECORD_FORMAT ? readRecord(callId, nowMs, fields) : null;
  const dueAtMs = Number(fields.dueAt ?? 0);
  return {
    callId,
    command: record?.command ?? '',
    redrive: record?.slotClass === 'redrive',
    eventIds: record === null ? [] : ownIds(userId, record.packed),
    users: Number(fields.users ?? 0),
    tries: record?.tries ?? 0,
    suspicion: record?.suspects.get(userId) ?? null,
    attempts: attemptsOf(record?.attempts ?? [], userId),
    sentAt: record?.sentAtMs || null,
    nextAt: dueAtMs > nowMs ? dueAtMs : null,
  };
}

function ownIds(userId: string, packed: string): string[] {
  const own = entriesOf({ packed }).filter(({ fields }) => namedUser(fields) === userId);
  return own.map(({ eventId }) => eventId);
}
