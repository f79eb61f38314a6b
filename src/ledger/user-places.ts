import type { RawEntry } from '../event/event.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { loadScript, runScript } from '../redis/script.ts';
import { type CallRecord, entriesOf, namedUser, RECORD_FORMAT, readRecord } from './record.ts';

const placesScript = loadScript(import.meta.url, '../redis/prelude.lua', 'user-places.lua');

/** Where the events of one user are at one moment, but for the stream. Times in ms since 1970, Redis's clock. */
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
const RETURNED_LOOKED = 5_000;

export async function findPlaces(redis: RedisClient, keys: Keys, userId: string): Promise<UserPlaces> {
  const [now, call, parked, parkedEntries, returnedTotal, returnedLooked, found, fleet] = (await runScript(
    redis,
    placesScript,
    [keys.owners, keys.parkedCounts, keys.returned, keys.hold],
    [
      JSON.stringify({
        userId,
        callPrefix: keys.callPrefix,
        parkedPrefix: keys.parkedPrefix,
        maxParked: MAX_PARKED_SHOWN,
        maxReturned: RETURNED_LOOKED,
      }),
    ],
  )) as [string, string[], number, string[], number, number, string[], string[]];
  return {
    nowMs: Number(now),
    call: call.length === 0 ? null : readCall(userId, Number(now), pairs(call)),
    parked,
    parkedIds: parkedEntries.map((packed) => readPacked(packed).eventId),
    returnedIds: found
      .map(readPacked)
      .filter(({ fields }) => namedUser(fields) === userId)
      .map(({ eventId }) => eventId),
    returnedTotal,
    returnedLooked,
    fleet: Object.fromEntries(pairs(fleet)),
  };
}

function readCall(userId: string, nowMs: number, fields: ReadonlyMap<string, string>): UserInCall {
  const callId = fields.get('') ?? '';
  const known = Number(fields.get('v')) === RECORD_FORMAT;
  const record = known ? readRecord(callId, nowMs, fields) : null;
  const own = record === null ? [] : entriesOf(record).filter((entry) => namedUser(entry.fields) === userId);
  return {
    callId,
    record,
    dueAtMs: Number(fields.get('dueAt') ?? 0),
    users: Number(fields.get('users') ?? 0),
    eventIds: own.map(({ eventId }) => eventId),
  };
}

/** An entry as the scripts keep it. */
export function readPacked(packed: string): RawEntry {
  const [eventId = '', ...fields] = JSON.parse(packed) as string[];
  return { eventId, fields };
}

function pairs(flat: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i] ?? '', flat[i + 1] ?? '');
  return map;
}
