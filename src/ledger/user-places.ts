import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';
import { type CallRecord, entriesOf, namedUser, RECORD_FORMAT, readRecord } from './record.ts';

const placesScript = loadScript(import.meta.url, 'user-places.lua');

/**
 * Where the events of one user are at one moment, but for the stream. Times in ms since 1970, Redis's clock.
 */
export interface UserPlaces {
  readonly nowMs: number;
  /** The call that the user is in; null in none. */
  readonly call: UserInCall | null;
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

export interface UserInCall {
  readonly callId: string;
  /** null: another version wrote it. */
  readonly record: CallRecord | null;
  /** When it is to be made again; 0 if nothing postponed it. */
  readonly dueAtMs: number;
  readonly users: number;
  /** The user's own events in it. */
  readonly eventIds: readonly string[];
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

export async function findPlaces(redis: RedisClient, keys: Keys, userId: string): Promise<UserPlaces> {
  const request = { userId, maxParked: MAX_PARKED_SHOWN, maxReturned: RETURNED_LOOKED };
  const reply = fieldsOf<PlacesReply>(await askScript(redis, placesScript, keys, request));
  const { nowMs, callId, parked, parkedEntries, returnedTotal, returnedLooked, returnedEntries } = reply;
  return {
    ...{ nowMs, parked, returnedTotal, returnedLooked },
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
): UserInCall {
  const record = Number(fields.v) === RECORD_FORMAT ? readRecord(callId, nowMs, fields) : null;
  return {
    callId,
    record,
    dueAtMs: Number(fields.dueAt ?? 0),
    users: Number(fields.users ?? 0),
    eventIds: record === null ? [] : ownIds(userId, record.packed),
  };
}

function ownIds(userId: string, packed: string): string[] {
  const own = entriesOf({ packed }).filter(({ fields }) => namedUser(fields) === userId);
  return own.map(({ eventId }) => eventId);
}
