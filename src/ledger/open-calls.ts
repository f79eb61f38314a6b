import type { AppRedis } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';
import { type Attempt, claimedUser, entriesOf, readRecord, readSuspects, type Suspicion } from './record.ts';

/** A user who is called alone, since their calls fail while those of others pass. */
export interface Suspect extends Suspicion {
  readonly userId: string;
  readonly callId: string;
}

/** Some of the suspects, of the calls that are due next. `limit`: calls that are looked at, at most. */
export async function listSuspects({ redis, keys }: AppRedis, limit: number): Promise<Suspect[]> {
  const callIds = await redis.zrange(keys.isolated, '0', String(limit - 1));
  const suspects = await Promise.all(
    callIds.map(async (callId): Promise<Suspect[]> => {
      const found = readSuspects(await redis.hget(keys.callPrefix + callId, 'suspects'));
      return [...found].map(([userId, suspicion]) => ({ userId, callId, ...suspicion }));
    }),
  );
  return suspects.flat();
}

/** As many as account_check takes in one call (API reference, account_check). */
const MAX_USERS = 100;

/**
 * The record of a call that stands open, with its users; undefined when none does. `random` (0 ≤ r < 1)
 * chooses which, so that one call whose users are of no use is not chosen for ever.
 */
export async function waitingUsers(
  { redis, keys }: AppRedis,
  random: number,
): Promise<{ recordKey: string; userIds: string[] } | undefined> {
  const at = String(Math.floor(random * (await redis.zcard(keys.open))));
  const [callId] = await redis.zrange(keys.open, at, at);
  if (callId === undefined) return undefined;
  const recordKey = keys.callPrefix + callId;
  const packed = await redis.hget(recordKey, 'entries');
  if (packed === null) return undefined;
  const userIds = new Set(entriesOf({ packed }).map(({ fields }) => claimedUser(fields)));
  userIds.delete('');
  return userIds.size === 0 ? undefined : { recordKey, userIds: [...userIds].slice(0, MAX_USERS) };
}

/** A call that is not done, as an operator sees it. Times in ms since 1970, Redis's clock. */
export interface OpenCall {
  readonly callId: string;
  readonly command: string;
  readonly redrive: boolean;
  readonly users: number;
  readonly events: number;
  /** Failures for a passing reason so far. */
  readonly tries: number;
  readonly cutAt: number;
  /** When its oldest event was accepted. */
  readonly oldestEventAt: number;
  /** It waits for its slot, is on the wire, or is made again at `nextAt`. */
  readonly state: 'waiting' | 'on-the-wire' | 'later';
  readonly sentAt: number | null;
  readonly nextAt: number | null;
  /** Its answer; not the one user that it may have been made for. */
  readonly lastAttempt: Omit<Attempt, 'userId'> | null;
  readonly suspects: readonly (Suspicion & { readonly userId: string })[];
}

/** All that an open call shows; its entries, which may take half a MB, are not read. */
const SHOWN = [
  'command',
  'class',
  'cutAt',
  'users',
  'events',
  'tries',
  'attempts',
  'suspects',
  'sentAt',
  'dueAt',
] as const;

/** Open calls from a place in their order on, those with the oldest event first. */
export async function listOpenCalls(
  { redis, keys }: AppRedis,
  from: number,
  limit: number,
): Promise<{ readonly nowMs: number; readonly total: number; readonly calls: readonly OpenCall[] }> {
  const [total, nowMs, listed] = await Promise.all([
    redis.zcard(keys.openSince),
    ownerTimeMs(redis, keys),
    redis.zrange(keys.openSince, String(from), String(from + limit - 1), 'WITHSCORES'),
  ]);
  const calls: Promise<OpenCall | undefined>[] = [];
  for (let i = 0; i < listed.length; i += 2) {
    const callId = listed[i] ?? '';
    const oldestEventAt = Number(listed[i + 1]);
    calls.push(
      redis
        .hmget(keys.callPrefix + callId, ...SHOWN)
        .then((values) => openCallOf(callId, oldestEventAt, nowMs, values)),
    );
  }
  const open = (await Promise.all(calls)).filter((call) => call !== undefined);
  return { nowMs: Math.floor(nowMs), total, calls: open };
}

/** Undefined for a record that has ended meanwhile. */
function openCallOf(
  callId: string,
  oldestEventAt: number,
  nowMs: number,
  values: readonly (string | null)[],
): OpenCall | undefined {
  const fields = Object.fromEntries(
    SHOWN.flatMap((name, i) => (values[i] == null ? [] : [[name, values[i]]])),
  );
  if (fields.command === undefined) return undefined;
  const record = readRecord(callId, nowMs, fields);
  const dueAtMs = Number(fields.dueAt ?? 0);
  const state = record.sentAtMs > 0 ? 'on-the-wire' : dueAtMs > nowMs ? 'later' : 'waiting';
  return {
    callId,
    command: record.command,
    redrive: record.slotClass === 'redrive',
    users: Number(fields.users ?? 0),
    events: Number(fields.events ?? 0),
    tries: record.tries,
    cutAt: record.cutAtMs,
    oldestEventAt,
    state,
    sentAt: record.sentAtMs || null,
    nextAt: dueAtMs > nowMs ? dueAtMs : null,
    lastAttempt: withoutUser(record.attempts.at(-1)),
    suspects: [...record.suspects].map(([userId, suspicion]) => ({ userId, ...suspicion })),
  };
}

function withoutUser(attempt: Attempt | undefined): OpenCall['lastAttempt'] {
  if (attempt === undefined) return null;
  const { userId: _userId, ...shown } = attempt;
  return shown;
}
