import { type CallQueues, REDRIVE_JOB } from '../calls/bullmq/queues.ts';
import { hasUserIdForm } from '../event/user-id.ts';
import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import { type RedriveRequest, type RedriveWord, redriveUsers } from '../ledger/letters/redrive.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import {
  awaitsSample,
  BUSY_REMEMBERED,
  BUSY_ROUNDS,
  BUSY_WAIT_MS,
  failsTooOften,
  type GivenUp,
  givesUp,
  ROOM_LOOK_MS,
  rateWaitMs,
  usersAtATime,
} from './redrive-policy.ts';
import { watchRedriven } from './redrive-watch.ts';

/** Why letters stay where they are; `unnamed`: a list names none. */
export type LeftWhy = Exclude<RedriveWord, 'redriven' | 'full' | 'none'> | 'no-user' | 'unnamed';

/** What came of a redrive, or has come of it so far. */
export interface RedriveReport {
  readonly letters: number;
  readonly users: number;
  readonly calls: number;
  /** Users that were left, by why; letters for `no-user`. */
  readonly left: Readonly<Partial<Record<LeftWhy, number>>>;
  /** Users known to be imported, and dead once more. */
  readonly imported: number;
  readonly failed: number;
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
  /** Names in a list that stood for no letter; told by who reads the list. */
  readonly unnamed?: () => number;
  /** Stops when more than this share of the users known to have ended are dead once more; 1: never. */
  readonly maxFailedShare: number;
  /** Whether Redis has room for what can wait. */
  readonly hasRoom: () => Promise<boolean>;
  /** Stops at the next step. */
  readonly signal?: AbortSignal;
  /** Told now and then. */
  readonly onProgress: (report: RedriveReport) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Has the users of these letters imported anew: their letters go into calls of class redrive, a few at a time, so
 * that live events do not wait behind them. The first hundred users are waited for, and too many of them dead once
 * more stop it: then the cause is not mended. Resolves when all are in calls or left, not when the calls are done.
 * Rejects when Redis fails; what was redriven by then goes on by itself.
 */
export async function redrive(
  options: RedriveOptions,
  letters: AsyncIterable<StoredLetter>,
): Promise<RedriveReport> {
  const { redis, keys, queues, request, sleep, onProgress, maxFailedShare } = options;
  const atATime = usersAtATime(options.maxUsers, options.usersPerSecond);
  const startedMs = performance.now();
  const done = { letters: 0, users: 0, calls: 0 };
  const left: Partial<Record<LeftWhy, number>> = {};
  const busy = new Set<string>();
  const watch = watchRedriven(redis, keys);
  /** A letter of each user that is asked for. */
  const letterOf = new Map<string, string>();
  let givenUp: GivenUp | null = null;
  const report = (): RedriveReport => {
    const { imported, failed } = watch.results;
    return { ...done, imported, failed, left: { ...left }, givenUp };
  };
  const leave = (why: LeftWhy, count = 1): void => {
    left[why] = (left[why] ?? 0) + count;
  };

  /** Why not to go on at this moment; waits for the sample. */
  const checkOn = async (): Promise<GivenUp | null> => {
    const sinceMs = performance.now();
    for (;;) {
      if (options.signal?.aborted === true) return 'interrupted';
      if (request.dryRun) return null;
      if (!(await options.hasRoom())) return 'memory';
      const results = await watch.look();
      if (failsTooOften(results, maxFailedShare)) return 'failures';
      if (!awaitsSample(done.users, results, maxFailedShare)) return null;
      onProgress(report());
      const { stopped } = await redriveUsers(redis, keys, { ...request, users: [] });
      const why = givesUp(stopped, performance.now() - sinceMs);
      if (why !== undefined) return why;
      await sleep(ROOM_LOOK_MS);
    }
  };

  /** Puts users into calls as room comes free; who is busy is remembered. */
  const place = async (users: Iterable<string>): Promise<void> => {
    let waiting = [...users];
    let roomSinceMs = performance.now();
    while (waiting.length > 0 && givenUp === null) {
      givenUp = await checkOn();
      if (givenUp !== null) break;
      await sleep(rateWaitMs(done.users, performance.now() - startedMs, options.usersPerSecond));
      const answer = await redriveUsers(redis, keys, { ...request, users: waiting.slice(0, atATime) });
      for (const { callId, command } of answer.calls) await queues.add(command, [callId], REDRIVE_JOB);
      done.calls += answer.calls.length;
      const full: string[] = [];
      for (const { userId, word, letters: count } of answer.users) {
        if (word === 'redriven') {
          done.users++;
          done.letters += count;
          const eventId = letterOf.get(userId);
          if (eventId !== undefined) watch.follow(eventId);
        } else if (word === 'full') full.push(userId);
        else if (word === 'busy' && busy.size < BUSY_REMEMBERED) busy.add(userId);
        else if (word !== 'none') leave(word);
        if (word !== 'full' && word !== 'busy') letterOf.delete(userId);
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
    // What is no user ID has no call to go into.
    if (!hasUserIdForm(letter.userId)) leave('no-user');
    else if (!next.has(letter.userId) && (await isNew(letter.userId))) {
      next.add(letter.userId);
      letterOf.set(letter.userId, letter.eventId);
    }
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
  const unnamed = options.unnamed?.() ?? 0;
  if (unnamed > 0) leave('unnamed', unnamed);
  if (!request.dryRun) await watch.look();
  return report();
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
