import type { ImportCommand } from '../im/bodies.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { askScript, loadScript } from '../redis/script.ts';
import { claimedUser, entriesOf, readSuspects, type Suspicion } from './record.ts';

const backlogScript = loadScript(import.meta.url, 'backlog.lua');

/** What stands before an event that is added now. */
export interface Backlog {
  /** Entries in the intake. */
  readonly waiting: number;
  /** Calls that wait for their slot, by command, without those on the wire and those to be retried later. */
  readonly calls: Readonly<
    Partial<Record<ImportCommand, { readonly calls: number; readonly users: number }>>
  >;
  /** Calls that started in the last second, of the commands asked about. */
  readonly started: Readonly<Partial<Record<ImportCommand, number>>>;
  readonly isHeld: boolean;
  readonly isPaused: boolean;
}

export async function readBacklog(
  redis: RedisClient,
  keys: Keys,
  commands: readonly ImportCommand[] = [],
): Promise<Backlog> {
  const reply = await askScript(redis, backlogScript, keys, { commands });
  const [waiting, held, paused, started, ...rest] = reply as [
    number,
    string,
    string,
    number[],
    ...(string | number)[],
  ];
  const calls: Partial<Record<ImportCommand, { calls: number; users: number }>> = {};
  for (let i = 0; i + 2 < rest.length; i += 3)
    calls[rest[i] as ImportCommand] = { users: Number(rest[i + 1]), calls: Number(rest[i + 2]) };
  return {
    waiting,
    calls,
    started: Object.fromEntries(commands.map((command, at) => [command, started[at] ?? 0])),
    isHeld: held !== '',
    isPaused: paused !== '',
  };
}

/** A user who is called alone, since their calls fail while those of others pass. */
export interface Suspect extends Suspicion {
  readonly userId: string;
  readonly callId: string;
}

/** Some of the suspects, of the calls that are due next. `limit`: calls that are looked at, at most. */
export async function listSuspects(redis: RedisClient, keys: Keys, limit: number): Promise<Suspect[]> {
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
 * A call that stands open, with its users; undefined when none does. `random` (0 ≤ r < 1) chooses which, so
 * that one call whose users are of no use is not chosen for ever.
 */
export async function waitingUsers(
  redis: RedisClient,
  keys: Keys,
  random: number,
): Promise<{ callId: string; userIds: string[] } | undefined> {
  const at = String(Math.floor(random * (await redis.zcard(keys.open))));
  const [callId] = await redis.zrange(keys.open, at, at);
  if (callId === undefined) return undefined;
  const packed = await redis.hget(keys.callPrefix + callId, 'entries');
  if (packed === null) return undefined;
  const userIds = new Set(entriesOf({ packed }).map(({ fields }) => claimedUser(fields)));
  userIds.delete('');
  return userIds.size === 0 ? undefined : { callId, userIds: [...userIds].slice(0, MAX_USERS) };
}
