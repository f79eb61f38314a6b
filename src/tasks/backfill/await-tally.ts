import { setTimeout as sleep } from 'node:timers/promises';
import { readTotals } from '../../ledger/totals.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { readTally, type Tally, underWay } from './tally.ts';

const LOOK_MS = 500;
/** Looks in a row that found nothing on the way, before what is missing from the tally counts as uncounted. */
const IDLE_LOOKS = 4;

/**
 * Waits until every event of the tally has ended. Answers early, with `underWay` above 0, when nothing is on the way
 * in Redis any more: a worker of a version that knows no tallies ended some; and early when `signal` is aborted.
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
    const books = await readTotals(redis, keys);
    const inCalls = Object.values(books.usersInCalls).reduce((sum, users) => sum + users, 0);
    const now = await readTally(redis, keys, tally);
    idle = books.waiting + books.parked + inCalls === 0 ? idle + 1 : 0;
    if (underWay(now) === 0 || idle >= IDLE_LOOKS || signal.aborted) return now;
    onLook(now);
    // Aborted: one more look.
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
