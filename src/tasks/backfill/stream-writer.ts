import { setTimeout as sleep } from 'node:timers/promises';
import { toFields, type UserInput } from '../../event/fields.ts';
import { readTotals, type Totals } from '../../ledger/totals.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { AppRedis, Keys } from '../../redis/keys.ts';
import type { InFlightLimit } from './in-flight-limit.ts';

/** Adds users in their order with `write`, a few at a time, as `limit` allows. */
export async function addWithin(
  limit: InFlightLimit,
  write: (users: readonly UserInput[]) => Promise<void>,
  isAlone: (user: UserInput) => boolean,
  users: readonly UserInput[],
): Promise<void> {
  for (let rest = users; rest.length > 0; ) {
    const headroom = await limit(rest.length, rest.filter(isAlone).length);
    await write(rest.slice(0, headroom));
    rest = rest.slice(headroom);
  }
}

const AGAIN_MS = 1_000;
/** Refusals that waiting does not cure. */
const LASTING = /^(NOPERM|NOAUTH|WRONGPASS|WRONGTYPE|ERR)\b/;

export interface StreamWriterOptions extends AppRedis {
  /** An open tally; undefined when nobody counts. */
  readonly tally: string | undefined;
  readonly signal: AbortSignal;
  /** Redis refused. The users are added again after a second. */
  readonly onRefused: (reason: string) => void;
}

/**
 * Adds users to the intake stream, and counts them in the tally in the same step. Resolves once Redis has all
 * of them. Waits while Redis refuses for a transient reason.
 */
export async function writeUsers(options: StreamWriterOptions, users: readonly UserInput[]): Promise<void> {
  for (;;) {
    try {
      return await writeOnce(options, users);
    } catch (error) {
      const reasons = reasonsOf(error);
      if (reasons.some((reason) => LASTING.test(reason))) throw error;
      options.onRefused(reasons[0] ?? String(error));
      await sleep(AGAIN_MS, undefined, { signal: options.signal });
    }
  }
}

async function writeOnce(
  { redis, keys, tally }: StreamWriterOptions,
  users: readonly UserInput[],
): Promise<void> {
  // A transaction adds all or none. A full Redis could otherwise take some, and the count would be wrong.
  const transaction = redis.multi();
  for (const user of users) transaction.xadd(keys.stream, '*', ...toFields({ ...user, tally }));
  if (tally !== undefined) {
    transaction.hincrby(keys.tallyPrefix + tally, 'accepted', users.length);
    transaction.expire(keys.tallyPrefix + tally, TALLY_LIFE_SECONDS);
  }
  for (const [error] of (await transaction.exec()) ?? []) if (error !== null) throw error;
}

/** A discarded transaction carries the reasons in `previousErrors`; the first of them says why. */
function reasonsOf(error: unknown): string[] {
  const { message, previousErrors = [] } = error as Error & { previousErrors?: readonly Error[] };
  return [...previousErrors.map((previous) => previous.message), message];
}

/**
 * How the events of one import ended. Settle counts an event in the step that ends it. So the counts are
 * exact whichever process is killed, need no memory per row, and go on when an import is resumed. An event
 * that is redriven later counts by its first end.
 *
 * Two other ways were rejected. Counting what is published to `replyTo` loses events that end while nobody
 * listens. The ledger, read afterwards, cannot tell an imported event from a superseded one.
 */
export interface Tally extends Pick<Totals, 'imported' | 'superseded' | 'deadLettered' | 'deadByReason'> {
  /** Events that Redis accepted. After a kill some rows may have been added twice; both count. */
  readonly accepted: number;
}

/** Longer than anybody waits for an import. Then the tally expires by itself. */
const TALLY_LIFE_SECONDS = 30 * 86_400;

/** To be called before the first event of the tally is added: settle counts only tallies that exist. */
export async function openTally(redis: RedisClient, keys: Keys, tally: string): Promise<void> {
  const key = keys.tallyPrefix + tally;
  await redis.multi().hincrby(key, 'accepted', 0).expire(key, TALLY_LIFE_SECONDS).exec();
}

export async function readTally(redis: RedisClient, keys: Keys, tally: string): Promise<Tally> {
  const counts = await redis.hgetall(keys.tallyPrefix + tally);
  const dead = Object.entries(counts).filter(([name]) => name.startsWith('dead:'));
  return {
    accepted: Number(counts.accepted ?? 0),
    imported: Number(counts.imported ?? 0),
    superseded: Number(counts.superseded ?? 0),
    deadLettered: Number(counts['dead-lettered'] ?? 0),
    deadByReason: Object.fromEntries(dead.map(([name, count]) => [name.slice(5), Number(count)])),
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
export async function awaitTally(
  options: AppRedis & {
    readonly tally: string;
    readonly signal: AbortSignal;
    readonly onLook: (tally: Tally) => void;
  },
): Promise<Tally> {
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
