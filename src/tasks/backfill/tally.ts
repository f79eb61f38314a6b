import { setTimeout as sleep } from 'node:timers/promises';
import { readTotals } from '../../ledger/totals.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';

/**
 * How the events of one import ended. Settle counts an event in the step that ends it. So the counts are
 * exact whichever process is killed, need no memory per row, and go on when an import is resumed. An event
 * that is redriven later counts by its first end.
 *
 * Two other ways were rejected. Counting what is published to `replyTo` loses events that end while nobody
 * listens. The ledger, read afterwards, cannot tell an imported event from a superseded one.
 */
export interface Tally {
  /** Events that Redis accepted. After a kill some rows may have been added twice; both count. */
  readonly accepted: number;
  readonly imported: number;
  readonly superseded: number;
  readonly deadLettered: number;
  readonly deadByReason: Readonly<Record<string, number>>;
}

/** Longer than anybody waits for an import. Then the tally expires by itself. */
export const TALLY_LIFE_SECONDS = 30 * 86_400;

/** To be called before the first event of the tally is added: settle counts only tallies that exist. */
export async function openTally(redis: RedisClient, keys: Keys, tally: string): Promise<void> {
  const key = keys.tallyPrefix + tally;
  await redis.multi().hincrby(key, 'accepted', 0).expire(key, TALLY_LIFE_SECONDS).exec();
}

export async function readTally(redis: RedisClient, keys: Keys, tally: string): Promise<Tally> {
  const counts = Object.entries(await redis.hgetall(keys.tallyPrefix + tally)).map(
    ([name, count]) => [name, Number(count)] as const,
  );
  const of = (name: string): number => counts.find(([counted]) => counted === name)?.[1] ?? 0;
  return {
    accepted: of('accepted'),
    imported: of('imported'),
    superseded: of('superseded'),
    deadLettered: of('dead-lettered'),
    deadByReason: Object.fromEntries(
      counts.flatMap(([name, count]) => (name.startsWith('dead:') ? [[name.slice(5), count]] : [])),
    ),
  };
}

/** Events that have not ended yet. */
export function underWay({ accepted, imported, superseded, deadLettered }: Tally): number {
  return Math.max(0, accepted - imported - superseded - deadLettered);
}

const LOOK_MS = 500;
/**
 * Looks in a row at an empty fleet, after which events that are missing from the tally count as uncounted.
 */
const IDLE_LOOKS = 4;

/**
 * Waits until every event of the tally has ended. Resolves early, with `underWay` above 0, in two cases:
 * `signal` is aborted; or no event is left in Redis, so a worker of a version without tallies ended some of
 * them.
 */
export async function awaitTally(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly tally: string;
  readonly signal: AbortSignal;
  readonly onLook: (tally: Tally) => void;
}): Promise<Tally> {
  const { redis, keys, tally, signal, onLook } = options;
  for (let idle = 0; ; ) {
    const totals = await readTotals(redis, keys);
    const inCalls = Object.values(totals.usersInCalls).reduce((sum, users) => sum + users, 0);
    const now = await readTally(redis, keys, tally);
    idle = totals.waiting + totals.parked + inCalls === 0 ? idle + 1 : 0;
    if (underWay(now) === 0 || idle >= IDLE_LOOKS || signal.aborted) return now;
    onLook(now);
    // An abort ends the wait. Then the loop looks once more.
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
