import type { AppRedis } from '../redis/keys.ts';
import { askScript, fieldsOf, loadScript } from '../redis/script.ts';
import type { SetBack } from './relayed-numbers.ts';

const appendScript = loadScript(import.meta.url, 'append.lua');
const raiseEpochScript = loadScript(import.meta.url, 'raise-epoch.lua');

/** What a relay tells of itself. */
export interface RelayNews {
  /** Its name, as that of a worker. */
  readonly relay: string;
  /** Such as `PostgreSQL 15.14`. */
  readonly server: string;
  /** Rows that wait; an estimate where they are many. */
  readonly waiting: number;
  /** Age of the oldest row; 0 without any. */
  readonly oldestAgeMs: number;
}

/** The working relay as others see it. `lastSeen` is in ms since 1970, on Redis's clock. */
export interface RelayState extends RelayNews {
  readonly lastSeen: number;
  /** When the database went back last, ms since 1970, and how many numbers of relayed rows it gives once more. */
  readonly setBack?: { readonly at: number; readonly rows: number };
}

/** Another relay has taken over: this one must become the leader again. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
  constructor() {
    super('another relay has taken over');
  }
}

/**
 * Raises the epoch: from now on nothing that an earlier relay holds is added. To be called with the lock of
 * the database, before the first look.
 */
export async function raiseEpoch({ redis, keys }: AppRedis): Promise<number> {
  return Number(await askScript(redis, raiseEpochScript, keys, {}));
}

/**
 * Adds events in their order. Resolves to the number of entries in the stream. Rejects with FencedError, and
 * with Redis's own error when it refuses. Without events it is a sign of life. `mark`: name and value.
 */
export async function appendEvents(
  { redis, keys }: AppRedis,
  request: RelayNews & {
    readonly epoch: number;
    readonly events: readonly (readonly string[])[];
    readonly mark?: readonly [name: string, value: string] | undefined;
  },
): Promise<number> {
  const reply = await askScript(redis, appendScript, keys, request);
  const { fenced, waiting } = fieldsOf<{ fenced?: number; waiting: number }>(reply);
  if (fenced === 1) throw new FencedError();
  return waiting;
}

/** The working relay; null if none has ever worked. */
export async function readRelay({ redis, keys }: AppRedis): Promise<RelayState | null> {
  const [state, setBack] = await redis.hmget(keys.relay, 'state', 'set-back');
  if (state == null) return null;
  return { ...(JSON.parse(state) as RelayState), ...(setBack != null && { setBack: JSON.parse(setBack) }) };
}

/** Notes for status that the database went back; `mark` is how far rows were relayed as it sees it now. */
export async function noteSetBack(
  { redis, keys }: AppRedis,
  { rows }: SetBack,
  mark: readonly string[],
): Promise<void> {
  await redis.hset(keys.relay, 'set-back', JSON.stringify({ at: Date.now(), rows }), ...mark);
}

export async function readMark({ redis, keys }: AppRedis, name: string): Promise<string | null> {
  return redis.hget(keys.relay, name);
}
