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
  type RedriveResults,
  ROOM_LOOK_MS,
  rateWaitMs,
  usersAtATime,
} from './redrive-policy.ts';

/** Why letters are left. `unnamed`: a name of the list stands for no letter. */
export type LeftWhy = Exclude<RedriveWord, 'redriven' | 'full' | 'none'> | 'no-user' | 'unnamed';

/** The result of a redrive, or its state so far. */
export interface RedriveReport {
  readonly letters: number;
  readonly users: number;
  readonly calls: number;
  /** Users that were left, by reason. Counts letters for `no-user`. */
  readonly left: Readonly<Partial<Record<LeftWhy, number>>>;
  /** Users known to be imported, and users known to be dead again. */
  readonly imported: number;
  readonly failed: number;
  /** Set when it ended before all was done. The rest can be redriven later. */
  readonly givenUp: GivenUp | null;
}

export interface RedriveOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly queues: Pick<CallQueues, 'add'>;
  readonly request: Omit<RedriveRequest, 'users'>;
  /** Users in a call, at most. */
  readonly maxUsers: number;
  /** Users a second, at most; undefined for no bound but the room for calls. */
  readonly usersPerSecond: number | undefined;
  /** Names of the list that stood for no letter, as counted by the reader of the list. */
  readonly unnamed?: () => number;
  /** Stops when more than this share of the users that have ended are dead again. 1 never stops. */
  readonly maxFailedShare: number;
  /** Whether Redis has memory for work that can wait. */
  readonly hasRoom: () => Promise<boolean>;
  /** Stops the redrive at its next step. */
  readonly signal?: AbortSignal;
  /** Called now and then. */
  readonly onProgress: (report: RedriveReport) => void;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Imports the users of these letters again. Their letters go into calls of class redrive, a few at a time, so
 * that live events do not wait behind them. The redrive waits for the first 100 users and stops when too many
 * of them die again: then the cause is not removed. Resolves when all letters are in calls or left, not when
 * the calls are done. Rejects when Redis fails; what was redriven by then goes on by itself.
 */
export async function redrive(
  options: RedriveOptions,
  letters: AsyncIterable<StoredLetter>,
): Promise<RedriveReport> {
  const { redis, keys, request } = options;
  const run = new RedriveRun(options);
  const isNew = request.dryRun ? countedOnce(redis, keys) : async () => true;
  for await (const letter of letters) {
    // A letter whose user ID is invalid has no call to go into.
    if (!hasUserIdForm(letter.userId)) run.leave('no-user');
    else if (await isNew(letter.userId)) await run.add(letter);
    if (run.isGivenUp) break;
  }
  await run.finish();
  const unnamed = options.unnamed?.() ?? 0;
  if (unnamed > 0) run.leave('unnamed', unnamed);
  if (!request.dryRun) await run.watch.look();
  return run.report();
}

/**
 * One redrive. State: the users gathered for the next step; the users that were busy and are asked for again
 * at the end; what was done and left so far; and why it was given up, which ends everything.
 */
class RedriveRun {
  readonly watch: RedriveWatch;
  private readonly options: RedriveOptions;
  private readonly atATime: number;
  private readonly startedMs = performance.now();
  private readonly done = { letters: 0, users: 0, calls: 0 };
  private readonly left: Partial<Record<LeftWhy, number>> = {};
  private readonly busy = new Set<string>();
  /** One letter of each user that was not answered yet. */
  private readonly letterOf = new Map<string, string>();
  private gathered = new Set<string>();
  private givenUp: GivenUp | null = null;

  constructor(options: RedriveOptions) {
    this.options = options;
    this.atATime = usersAtATime(options.maxUsers, options.usersPerSecond);
    this.watch = watchRedriven(options.redis, options.keys);
  }

  get isGivenUp(): boolean {
    return this.givenUp !== null;
  }

  report(): RedriveReport {
    const { imported, failed } = this.watch.results;
    return { ...this.done, imported, failed, left: { ...this.left }, givenUp: this.givenUp };
  }

  leave(why: LeftWhy, count = 1): void {
    this.left[why] = (this.left[why] ?? 0) + count;
  }

  /** Gathers the letter's user, and places the gathered users when they fill a step. */
  async add(letter: StoredLetter): Promise<void> {
    if (!this.gathered.has(letter.userId)) {
      this.gathered.add(letter.userId);
      this.letterOf.set(letter.userId, letter.eventId);
    }
    if (this.gathered.size >= this.atATime) await this.placeGathered();
  }

  /** Places the rest, and asks again for users that were busy. A dry run changes nothing, so it asks once. */
  async finish(): Promise<void> {
    await this.placeGathered();
    const rounds = this.options.request.dryRun ? 0 : BUSY_ROUNDS;
    for (let round = 0; round < rounds && this.busy.size > 0 && !this.isGivenUp; round++) {
      await this.options.sleep(BUSY_WAIT_MS);
      const again = [...this.busy];
      this.busy.clear();
      await this.place(again);
    }
    if (this.busy.size > 0) this.leave('busy', this.busy.size);
  }

  private async placeGathered(): Promise<void> {
    const users = [...this.gathered];
    this.gathered = new Set();
    await this.place(users);
  }

  /** Puts users into calls as room becomes free. */
  private async place(users: readonly string[]): Promise<void> {
    const { redis, keys, request, sleep, usersPerSecond } = this.options;
    let waiting = users;
    let roomSinceMs = performance.now();
    while (waiting.length > 0 && !this.isGivenUp) {
      this.givenUp = await this.whyStop();
      if (this.isGivenUp) break;
      await sleep(rateWaitMs(this.done.users, performance.now() - this.startedMs, usersPerSecond));
      const step = waiting.slice(0, this.atATime);
      const answer = await redriveUsers(redis, keys, { ...request, users: step });
      const full = await this.note(answer);
      waiting = [...full, ...waiting.slice(this.atATime)];
      if (full.length < answer.users.length) roomSinceMs = performance.now();
      if (full.length === 0) continue;
      this.givenUp = givesUp(answer.stopped, performance.now() - roomSinceMs) ?? null;
      if (!this.isGivenUp) await sleep(ROOM_LOOK_MS);
    }
  }

  /**
   * Adds the jobs of the new calls and notes what became of each user. Returns the users that found no room.
   */
  private async note(answer: Awaited<ReturnType<typeof redriveUsers>>): Promise<string[]> {
    const { queues, onProgress } = this.options;
    for (const { callId, command } of answer.calls) await queues.add(command, [callId], REDRIVE_JOB);
    this.done.calls += answer.calls.length;
    const full: string[] = [];
    for (const { userId, word, letters } of answer.users) {
      if (word === 'redriven') {
        this.done.users++;
        this.done.letters += letters;
        const eventId = this.letterOf.get(userId);
        if (eventId !== undefined) this.watch.follow(eventId);
      } else if (word === 'full') full.push(userId);
      else if (word === 'busy' && this.busy.size < BUSY_REMEMBERED) this.busy.add(userId);
      else if (word !== 'none') this.leave(word);
      if (word !== 'full' && word !== 'busy') this.letterOf.delete(userId);
    }
    onProgress(this.report());
    return full;
  }

  /**
   * Why the redrive must stop at this moment; null to go on. Waits while the results of the sample are open.
   */
  private async whyStop(): Promise<GivenUp | null> {
    const { redis, keys, request, sleep, onProgress, maxFailedShare, signal, hasRoom } = this.options;
    const sinceMs = performance.now();
    for (;;) {
      if (signal?.aborted === true) return 'interrupted';
      if (request.dryRun) return null;
      if (!(await hasRoom())) return 'memory';
      const results = await this.watch.look();
      if (failsTooOften(results, maxFailedShare)) return 'failures';
      if (!awaitsSample(this.done.users, results, maxFailedShare)) return null;
      onProgress(this.report());
      const { stopped } = await redriveUsers(redis, keys, { ...request, users: [] });
      const why = givesUp(stopped, performance.now() - sinceMs);
      if (why !== undefined) return why;
      await sleep(ROOM_LOOK_MS);
    }
  }
}

/**
 * Counts each user once in a dry run. A dry run leaves letters in place, so a user with several letters comes
 * again with each. Only such users are remembered, since few have several.
 */
function countedOnce(redis: RedisClient, keys: Keys): (userId: string) => Promise<boolean> {
  const seen = new Set<string>();
  return async (userId) => {
    if (seen.has(userId)) return false;
    if (Number((await redis.hget(keys.deadUsers, userId)) ?? 0) > 1) seen.add(userId);
    return true;
  };
}

/** Follows redriven users to their ends, by one letter per user. */
interface RedriveWatch {
  follow(eventId: string): void;
  /** Looks at some of the open letters. Rejects when Redis does not answer. */
  look(): Promise<RedriveResults>;
  readonly results: RedriveResults;
}

/** Letters followed at a time. Beyond that the share of failures comes from those that are followed. */
const MAX_FOLLOWED = 10_000;
const LOOKED_AT_A_TIME = 500;

function watchRedriven(redis: RedisClient, keys: Keys): RedriveWatch {
  const open = new Set<string>();
  let imported = 0;
  let failed = 0;
  return {
    follow(eventId) {
      if (open.size < MAX_FOLLOWED) open.add(eventId);
    },
    async look() {
      const some = [...open].slice(0, LOOKED_AT_A_TIME);
      const asked = some.map((eventId) => ['hget', keys.deadPrefix + eventId, 'state']);
      const replies = some.length === 0 ? [] : ((await redis.pipeline(asked).exec()) ?? []);
      for (const [i, eventId] of some.entries()) {
        const [error, state] = replies[i] ?? [];
        if (error) throw error;
        open.delete(eventId);
        // An open letter goes to the end, so the next look takes others.
        if (state === 'redriving') open.add(eventId);
        else if (state === 'dead') failed++;
        else if (state === 'resolved') imported++;
      }
      return { imported, failed, open: open.size };
    },
    get results() {
      return { imported, failed, open: open.size };
    },
  };
}
