import { type CallQueues, REDRIVE_JOB } from '../calls/bullmq/queues.ts';
import { isAllowed, oddId } from '../event/odd-values.ts';
import { hasUserIdForm } from '../event/user-id.ts';
import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { Preview } from '../ledger/letters/preview.ts';
import {
  type RedriveAnswer,
  type RedriveRequest,
  type RedriveWord,
  redriveUsers,
} from '../ledger/letters/redrive.ts';
import type { RedriveRun } from '../ledger/letters/redrive-history.ts';
import { type Quota, ratePerSecond } from '../pace/budget.ts';
import type { AppRedis } from '../redis/keys.ts';
/** Why letters are left. `odd`: the rule for odd user IDs still refuses them. `unnamed`: a name of the list stands for no letter. */
export type LeftWhy = Exclude<RedriveWord, 'redriven' | 'full' | 'none'> | 'no-user' | 'odd' | 'unnamed';

/** The result of a redrive, or its state so far. */
export interface RedriveReport
  extends Pick<RedriveRun, 'letters' | 'users' | 'calls' | 'imported' | 'failed'> {
  /** Users that were left, by reason. Counts letters for `no-user` and `odd`. */
  readonly left: Readonly<Partial<Record<LeftWhy, number>>>;
  /** Set when it ended before all was done. The rest can be redriven later. */
  readonly givenUp: GivenUp | null;
}

export interface RedriveOptions extends AppRedis {
  readonly queues: Pick<CallQueues, 'add'>;
  readonly request: Omit<RedriveRequest, 'users'>;
  /** Odd user IDs that are valid (IMSYNC_ALLOW_ODD_IDS). Letters of others are left. */
  readonly allowOddIds: readonly string[];
  /** Users in a call, at most. */
  readonly maxUsers: number;
  /** Users a second, at most; Infinity for no bound but the room for calls. */
  readonly usersPerSecond: number;
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

/** How often users that were in a call are asked for again at the end. */
const BUSY_ROUNDS = 5;
const BUSY_WAIT_MS = 1_000;
/** Wait between two looks for room, while enough redrive calls are open. */
const ROOM_LOOK_MS = 100;
const LETTERS_AT_A_LOOK = 500;

/**
 * Imports the users of these letters again. Their letters go into calls of class redrive, a few at a time, so
 * that live events do not wait behind them. The redrive waits for the first 100 users and stops when too many
 * of them die again: then the cause is not removed. Resolves when all letters are in calls or left, not when
 * the calls are done. Rejects when Redis fails; what was redriven by then goes on by itself.
 */
export async function redrive(
  options: RedriveOptions,
  letters: AsyncIterable<StoredLetter | 'unnamed'>,
): Promise<RedriveReport> {
  const run = new Redrive(options);
  for await (const letter of letters) {
    await run.take(letter);
    if (run.givenUp !== null) break;
  }
  return run.finish();
}

/** What a redrive of these letters would do, told as its result. Reads no letter but those of users with several. */
export async function dryRun(
  options: RedriveOptions,
  previews: AsyncIterable<Preview>,
): Promise<RedriveReport> {
  const run = new Redrive(options);
  for await (const preview of previews) {
    await run.count(preview);
    if (run.givenUp !== null) break;
  }
  return run.finish();
}

/** Users to be redriven, each with one of their letters. */
type Users = Map<string, string>;

/**
 * One redrive. State: the users gathered for the next step; the users that were busy and are asked for again
 * at the end; what was done and left so far; one letter of each redriven user, which is followed to its end;
 * and why the redrive was given up, which ends everything.
 */
class Redrive {
  givenUp: GivenUp | null = null;
  private readonly options: RedriveOptions;
  private readonly atATime: number;
  private readonly startedMs = performance.now();
  private readonly done = { letters: 0, users: 0, calls: 0, imported: 0, failed: 0 };
  private readonly left: Partial<Record<LeftWhy, number>> = {};
  private readonly followed = new Set<string>();
  private readonly seenInDryRun = new Set<string>();
  private readonly gathered: Users = new Map();
  private busy: Users = new Map();
  /** The step of a dry run that is on its way. A failure of it is met at the next step. */
  private looking: Promise<void> = Promise.resolve();

  constructor(options: RedriveOptions) {
    this.options = options;
    this.atATime = usersAtATime(options.maxUsers, options.usersPerSecond);
  }

  /** Dry run: counts users with one letter, and has the script decide about the others. */
  async count({ redriven, busy, early, invalid, noUser, several }: Preview): Promise<void> {
    this.givenUp = await this.whyStop();
    this.done.users += redriven;
    this.done.letters += redriven;
    for (const [why, number] of Object.entries({ busy, early, invalid, 'no-user': noUser }))
      if (number > 0) this.leave(why as LeftWhy, number);
    for (const userId of several) await this.gather(userId, '');
    this.options.onProgress(this.report());
  }

  /** Gathers the letter's user, and places the gathered users when they fill a step. */
  async take(letter: StoredLetter | 'unnamed'): Promise<void> {
    if (letter === 'unnamed') return this.leave('unnamed');
    const { userId, eventId } = letter;
    // A letter whose user ID is invalid has no call to go into.
    if (!hasUserIdForm(userId)) return this.leave('no-user');
    // It would die again, and count as a failure of the others.
    if (this.options.request.invalid && this.isOdd(letter)) return this.leave('odd');
    return this.gather(userId, eventId);
  }

  private async gather(userId: string, eventId: string): Promise<void> {
    if (this.gathered.has(userId) || this.seenInDryRun.has(userId)) return;
    this.gathered.set(userId, eventId);
    // It leaves letters in place, so a user with several letters comes again with each.
    if (this.options.request.dryRun) this.seenInDryRun.add(userId);
    if (this.gathered.size < this.atATime) return;
    if (!this.options.request.dryRun) return this.place(this.gathered);
    // Nothing changes, so the next letters are read meanwhile.
    await this.looking;
    this.looking = this.place(new Map(this.gathered));
    this.looking.catch(() => undefined);
    this.gathered.clear();
  }

  /** Places the rest, and asks again for users that were busy. A dry run changes nothing, so it asks once. */
  async finish(): Promise<RedriveReport> {
    const { request, sleep } = this.options;
    await this.looking;
    await this.place(this.gathered);
    const rounds = request.dryRun ? 0 : BUSY_ROUNDS;
    for (let round = 0; round < rounds && this.busy.size > 0 && this.givenUp === null; round++) {
      await sleep(BUSY_WAIT_MS);
      const again = this.busy;
      this.busy = new Map();
      await this.place(again);
    }
    if (this.busy.size > 0) this.leave('busy', this.busy.size);
    if (!request.dryRun) await this.look();
    return this.report();
  }

  private isOdd({ userId, reason, event }: StoredLetter): boolean {
    const odd = oddId(userId);
    if (odd === undefined || reason !== 'invalid' || event.allowOddId === '1') return false;
    return !isAllowed(userId, odd, this.options.allowOddIds);
  }

  private report(): RedriveReport {
    return { ...this.done, left: { ...this.left }, givenUp: this.givenUp };
  }

  private leave(why: LeftWhy, count = 1): void {
    this.left[why] = (this.left[why] ?? 0) + count;
  }

  /** Takes users from the map into calls as room becomes free, but not while the sample is awaited. */
  private async place(users: Users): Promise<void> {
    const { request, sleep, usersPerSecond, maxFailedShare } = this.options;
    let movedAtMs = performance.now();
    while (users.size > 0 && this.givenUp === null) {
      this.givenUp = await this.whyStop();
      if (this.givenUp !== null) return;
      const waits = awaitsSample(this.done, this.followed.size, maxFailedShare);
      const step = waits ? [] : [...users.keys()].slice(0, this.atATime);
      const waitMs = rateWaitMs(this.done.users, performance.now() - this.startedMs, usersPerSecond);
      if (!request.dryRun) await sleep(waitMs);
      const answer = await redriveUsers(this.options, { ...request, users: step });
      const full = await this.note(answer, users);
      if (full < step.length) movedAtMs = performance.now();
      if (!waits && full === 0) continue;
      this.givenUp = givesUp(answer.stopped, performance.now() - movedAtMs);
      if (this.givenUp === null) await sleep(ROOM_LOOK_MS);
    }
  }

  /**
   * Adds the jobs of the new calls, notes what became of each user and removes the user from `users`. Leaves
   * the users that found no room there, and returns their number.
   */
  private async note(answer: RedriveAnswer, users: Users): Promise<number> {
    const { queues, request, onProgress } = this.options;
    for (const { callId, command } of answer.calls) await queues.add(command, [callId], REDRIVE_JOB);
    this.done.calls += answer.calls.length;
    let full = 0;
    for (const { userId, word, letters } of answer.users) {
      const eventId = users.get(userId) ?? '';
      if (word === 'full') full++;
      else users.delete(userId);
      if (word === 'redriven') {
        this.done.users++;
        this.done.letters += letters;
        if (!request.dryRun) this.followed.add(eventId);
      } else if (word === 'busy') this.busy.set(userId, eventId);
      else if (word !== 'none' && word !== 'full') this.leave(word);
    }
    onProgress(this.report());
    return full;
  }

  /** Why the redrive must stop at this moment; null to go on. */
  private async whyStop(): Promise<GivenUp | null> {
    const { request, maxFailedShare, signal, hasRoom } = this.options;
    if (signal?.aborted === true) return 'interrupted';
    if (request.dryRun) return null;
    if (!(await hasRoom())) return 'memory';
    await this.look();
    return failsTooOften(this.done, maxFailedShare) ? 'failures' : null;
  }

  /** Looks at some of the followed letters: whether their users are imported, or dead again. */
  private async look(): Promise<void> {
    const { redis, keys } = this.options;
    const some = [...this.followed].slice(0, LETTERS_AT_A_LOOK);
    const states = await Promise.all(some.map((eventId) => redis.hget(keys.deadPrefix + eventId, 'state')));
    for (const [i, eventId] of some.entries()) {
      this.followed.delete(eventId);
      // An open letter goes to the end, so the next look takes others.
      if (states[i] === 'redriving') this.followed.add(eventId);
      else if (states[i] === 'dead') this.done.failed++;
      else if (states[i] === 'resolved') this.done.imported++;
    }
  }
}

/* How fast letters are redriven, and when a redrive gives up. Pure. */

/** Seconds of budget that may be open as redrive calls. The rest is free for live work. */
const OPEN_SECONDS = 0.2;
/** When there is no room for so long, no worker is making the calls. */
const ROOM_PATIENCE_MS = 60_000;

/** Redrive calls of the fleet that may be open at a time. */
export function maxOpenRedrives(quota: Quota): number {
  return Math.max(1, Math.floor(OPEN_SECONDS * ratePerSecond(quota)));
}

/** Users asked for at a time: a full call, or fewer at a low rate, where full calls would come in gusts. */
export function usersAtATime(maxUsers: number, usersPerSecond: number): number {
  return Math.max(1, Math.min(maxUsers, Math.floor(usersPerSecond)));
}

/** How long to wait before the next users, when `redriven` users took `elapsedMs`. */
export function rateWaitMs(redriven: number, elapsedMs: number, usersPerSecond: number): number {
  return Math.max(0, (redriven / usersPerSecond) * 1_000 - elapsedMs);
}

/** Users whose end must be known before a share of failures means anything. So many go ahead of the rest. */
const SAMPLE = 100;

/** Why a redrive ended before all was done. */
export type GivenUp = 'held' | 'paused' | 'no-room' | 'memory' | 'failures' | 'interrupted';

/** Why to give up instead of waiting for room; null to go on waiting. */
export function givesUp(stopped: 'held' | 'paused' | null, withoutRoomMs: number): GivenUp | null {
  return stopped ?? (withoutRoomMs >= ROOM_PATIENCE_MS ? 'no-room' : null);
}

/** How the redriven users fared, as far as it is known. */
type Results = Pick<RedriveReport, 'users' | 'imported' | 'failed'>;

/** Whether too many of the redriven users are dead again. */
export function failsTooOften({ imported, failed }: Results, maxShare: number): boolean {
  const known = imported + failed;
  return known >= SAMPLE && failed / known > maxShare;
}

/**
 * Whether to wait for the sample to end: its fault would meet the others, too, and each failure costs a call.
 * `open`: users that are not known to have ended.
 */
export function awaitsSample({ users, imported, failed }: Results, open: number, maxShare: number): boolean {
  return maxShare < 1 && users >= SAMPLE && open > 0 && imported + failed < SAMPLE;
}
