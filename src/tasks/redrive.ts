import type { CallQueues } from '../calls/queues.ts';
import type { StoredLetter } from '../ledger/dead-letters.ts';
import { type RedriveRequest, type RedriveWord, redriveUsers } from '../ledger/redrive.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import {
  BUSY_REMEMBERED,
  BUSY_ROUNDS,
  BUSY_WAIT_MS,
  type GivenUp,
  givesUp,
  ROOM_LOOK_MS,
  rateWaitMs,
  usersAtATime,
} from './redrive-policy.ts';

/** Why letters stay where they are. */
export type LeftWhy = Exclude<RedriveWord, 'redriven' | 'full' | 'none'> | 'no-user';

/** What came of a redrive, or has come of it so far. */
export interface RedriveReport {
  readonly letters: number;
  readonly users: number;
  readonly calls: number;
  /** Users that were left, by why; letters for `no-user`. */
  readonly left: Readonly<Partial<Record<LeftWhy, number>>>;
  /** Set when it ended before all was done: what is left can be redriven later. */
  readonly givenUp: GivenUp | null;
}

export interface RedriveOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly queues: Pick<CallQueues, 'add'>;
  readonly request: Omit<RedriveRequest, 'users'>;
  /** Users a call carries, at most. */
  readonly maxUsers: number;
  /** Users a second, at most; undefined: as many as find room. */
  readonly usersPerSecond: number | undefined;
  /** Told now and then. */
  readonly onProgress: (report: RedriveReport) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Has the users of these letters imported anew: their letters go into calls of class redrive, a few at a time, so
 * that live events do not wait behind them. Resolves when all are in calls or left, not when the calls are done.
 * Rejects when Redis fails; what was redriven by then goes on by itself.
 */
export async function redrive(
  options: RedriveOptions,
  letters: AsyncIterable<StoredLetter>,
): Promise<RedriveReport> {
  const { redis, keys, queues, request, sleep, onProgress } = options;
  const atATime = usersAtATime(options.maxUsers, options.usersPerSecond);
  const startedMs = performance.now();
  const done = { letters: 0, users: 0, calls: 0 };
  const left: Partial<Record<LeftWhy, number>> = {};
  const busy = new Set<string>();
  let givenUp: GivenUp | null = null;
  const report = (): RedriveReport => ({ ...done, left: { ...left }, givenUp });
  const leave = (why: LeftWhy, count = 1): void => {
    left[why] = (left[why] ?? 0) + count;
  };

  /** Puts users into calls as room comes free; who is busy is remembered. */
  const place = async (users: Iterable<string>): Promise<void> => {
    let waiting = [...users];
    let roomSinceMs = performance.now();
    while (waiting.length > 0 && givenUp === null) {
      await sleep(rateWaitMs(done.users, performance.now() - startedMs, options.usersPerSecond));
      const answer = await redriveUsers(redis, keys, { ...request, users: waiting.slice(0, atATime) });
      for (const { callId, command } of answer.calls) await queues.add(command, [callId]);
      done.calls += answer.calls.length;
      const full: string[] = [];
      for (const { userId, word, letters: count } of answer.users) {
        if (word === 'redriven') {
          done.users++;
          done.letters += count;
        } else if (word === 'full') full.push(userId);
        else if (word === 'busy' && busy.size < BUSY_REMEMBERED) busy.add(userId);
        else if (word !== 'none') leave(word);
      }
      onProgress(report());
      waiting = [...full, ...waiting.slice(atATime)];
      if (full.length < answer.users.length) roomSinceMs = performance.now();
      if (full.length === 0) continue;
      givenUp = givesUp(answer.stopped, performance.now() - roomSinceMs) ?? null;
      if (givenUp === null) await sleep(ROOM_LOOK_MS);
    }
  };

  const isNew = request.dryRun ? countedOnce(redis, keys) : async () => true;
  let next = new Set<string>();
  for await (const letter of letters) {
    if (letter.userId === '' || !isOwnable(letter.userId)) leave('no-user');
    else if (!next.has(letter.userId) && (await isNew(letter.userId))) next.add(letter.userId);
    if (next.size < atATime) continue;
    await place(next);
    next = new Set();
    if (givenUp !== null) break;
  }
  await place(next);
  for (let round = 0; round < BUSY_ROUNDS && busy.size > 0 && givenUp === null; round++) {
    // Nothing changes by waiting when nothing is done.
    if (request.dryRun) break;
    await sleep(BUSY_WAIT_MS);
    const again = [...busy];
    busy.clear();
    await place(again);
  }
  if (busy.size > 0) leave('busy', busy.size);
  return report();
}

/** The rule of `claimedUser`: what is no user ID has no call to go into. */
function isOwnable(userId: string): boolean {
  return /^[\x21-\x7e]{1,32}$/.test(userId);
}

/** A dry run leaves letters where they are, so that a user comes again with the next one. Few have a next one. */
function countedOnce(redis: RedisClient, keys: Keys): (userId: string) => Promise<boolean> {
  const seen = new Set<string>();
  return async (userId) => {
    if (seen.has(userId)) return false;
    if (Number((await redis.hget(keys.deadUsers, userId)) ?? 0) > 1) seen.add(userId);
    return true;
  };
}
