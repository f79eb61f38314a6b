import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Loop, type LoopDeadline } from '../lifecycle/loop.ts';
import { patienceMs } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import {
  type CallClaim,
  type CutAnswer,
  type CutCall,
  type CutLimits,
  cutCalls,
  type LocalCall,
} from './cut.ts';
import { type ArrivalRate, createArrivalRate, nextLookMs, secondLookMs } from './linger.ts';

/** Gives back the place of a local call. */
export type ReleasePlace = () => void;

export interface CoalescerOptions {
  readonly redis: RedisClient;
  /** A connection of its own, since it blocks. `close` closes it. */
  readonly blocking: RedisClient;
  readonly keys: Keys;
  readonly limits: CutLimits;
  readonly processId: string;
  /** Resolves when this process can take one more local call; to 'closing' when it takes none any more. */
  readonly place: () => Promise<ReleasePlace | 'closing'>;
  /** Names the next call, and the run that owns it. No two calls get the same name. */
  readonly nextClaim: () => CallClaim;
  /** An event came to an empty intake: its call needs a connection in a moment. */
  readonly expectCall: () => void;
  /** Works the call off. Calls `release` when its place is free again. */
  readonly take: (call: LocalCall, release: ReleasePlace) => void;
  /** Makes jobs of the other calls. Rejects when Redis fails; the sweep makes up for it. */
  readonly handOver: (calls: readonly CutCall[]) => Promise<void>;
  readonly onTrouble: (error: Error) => void;
}

/** An idle loop turns this often in any case: only another process may have heard of an event. */
const IDLE_TURN_MS = 5_000;
/** Open calls block the cut. They are two seconds of budget, so a look now and then is soon enough. */
const BLOCKED_LOOK_MS = 50;
/** Held or paused: the change wakes the loop. This look is for a change that was not heard. */
const STOPPED_LOOK_MS = 1_000;
const TROUBLE_WAIT_MS = 500;
/** Cuts whose answers the loop does not wait for, at most. The places for calls bound them as well. */
const MOST_LATE = 8;
/**
 * A lone event wakes all idle processes. The one that cut last goes first. The others look a little later, in case
 * that one is gone or busy, and leave it the processor meanwhile.
 */
const GIVE_WAY_MS = 3;

/**
 * The loop that turns waiting events into calls. Every process runs one. The script decides, so it does not matter
 * which process asks.
 *
 * Each turn asks for one cut and goes by the answer:
 * - `cut`: the call goes to a run of this process; the next turn follows at once.
 * - `linger`: not due yet; this process has the watch and looks again in time.
 * - `watched`: another process has the watch; this one looks a little later.
 * - `empty`: it blocks on the stream until an event comes, and polls nothing.
 * - `blocked`: too many open calls, a hold or a pause; it looks again later.
 *
 * Under a backlog the loop does not wait for an answer that is long in coming: it asks for the next cut
 * (docs/decisions/0095).
 */
export class Coalescer {
  readonly #options: CoalescerOptions;
  readonly #loop: Loop;
  readonly #rate: ArrivalRate = createArrivalRate();
  readonly #patienceMs: number;
  /** Cuts whose answers the loop does not wait for, and when each was asked for, ms; oldest first. */
  readonly #late = new Map<Promise<unknown>, number>();
  #reading: Promise<void> | undefined;
  /** An entry came while this process was blocked on the stream. */
  #isWoken = false;
  /** This process made the newest call of a lone event that it saw. */
  #cutLast = true;
  /** By the newest answer another call can be cut at once. */
  #moreWaits = false;

  constructor(options: CoalescerOptions) {
    this.#options = options;
    this.#patienceMs = patienceMs(options.limits.eagerGapMs);
    this.#loop = new Loop({
      turn: () => this.#turn(),
      errorRestMs: TROUBLE_WAIT_MS,
      onError: options.onTrouble,
    });
  }

  start(): void {
    this.#loop.run();
  }

  /** Something came back to the intake, or room for calls came free: look now. */
  nudge(): void {
    this.#loop.wake();
  }

  /** Stops after the cut at hand has been handed over. */
  async close(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#options.blocking.disconnect();
    await stopped;
    await Promise.all(this.#late.keys());
  }

  /** Idle only while it waits for a place; due since its oldest cut without an answer. */
  get deadline(): LoopDeadline {
    const loop = this.#loop;
    const late = this.#late;
    return {
      get dueMs() {
        const [oldestMs] = late.values();
        return oldestMs ?? loop.dueMs;
      },
    };
  }

  async #turn(): Promise<void> {
    // Without a place there is nothing to do; other processes may cut meanwhile.
    const release = await this.#loop.idleUntil(this.#options.place());
    if (release === 'closing') return this.#loop.rest(IDLE_TURN_MS);
    const isLone = this.#isWoken;
    this.#isWoken = false;
    if (isLone && this.#cutLast) this.#options.expectCall();
    const askedAtMs = performance.now();
    const cutting = this.#cut(release);
    if (this.#moreWaits && this.#late.size < MOST_LATE && !(await endsWithin(cutting, this.#patienceMs))) {
      this.#endLater(cutting, askedAtMs);
      return;
    }
    const answer = await cutting;
    if (isLone) this.#cutLast = answer.kind === 'cut';
    return this.#restAfter(answer);
  }

  #restAfter(answer: CutAnswer): Promise<void> | void {
    const { maxUsers, maxWaitMs } = this.#options.limits;
    switch (answer.kind) {
      case 'cut':
        return;
      case 'linger': {
        const { waiting, dueInMs } = answer;
        this.#rate.saw(waiting, performance.now());
        const arrivalsPerMs = this.#rate.perMs;
        return this.#loop.rest(nextLookMs({ arrivalsPerMs, waiting, dueInMs, maxUsers, maxWaitMs }));
      }
      case 'watched': {
        const { waiting, dueInMs, waitMs } = answer;
        return this.#loop.rest(secondLookMs({ waitMs, waiting, dueInMs, maxUsers, maxWaitMs }));
      }
      case 'empty':
        return this.#restUntilSomethingWaits();
      case 'blocked':
        return this.#loop.rest(answer.by === 'open-calls' ? BLOCKED_LOOK_MS : STOPPED_LOOK_MS);
    }
  }

  async #restUntilSomethingWaits(): Promise<void> {
    await this.#loop.rest(2 * IDLE_TURN_MS, this.#somethingWaits());
    if (this.#isWoken && !this.#cutLast) await this.#loop.rest(GIVE_WAY_MS);
  }

  /** Resolves when the stream holds anything. Cut entries leave the stream, so it is read from its start. */
  #somethingWaits(): Promise<void> {
    const { blocking, keys, onTrouble } = this.#options;
    this.#reading ??= blocking
      .xread('COUNT', 1, 'BLOCK', IDLE_TURN_MS, 'STREAMS', keys.stream, '0-0')
      .then(
        (entries) => {
          this.#isWoken = entries !== null;
        },
        async (error: Error) => {
          if (this.#loop.isStopping) return;
          onTrouble(error);
          // If Redis refuses at once, the loop would ask again and again.
          await sleep(TROUBLE_WAIT_MS);
        },
      )
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  /** Cuts once, and has what was cut worked off. */
  async #cut(release: ReleasePlace): Promise<CutAnswer> {
    const { redis, keys, limits, processId, nextClaim, take, handOver } = this.#options;
    let taken = false;
    try {
      const answer = await cutCalls(redis, keys, limits, processId, nextClaim());
      this.#moreWaits = answer.kind === 'cut' && answer.waiting >= limits.maxUsers;
      if (answer.kind !== 'cut') return answer;
      const { localCalls: local, calls } = answer;
      if (local !== undefined) {
        taken = true;
        take(local, release);
      }
      const users = calls.reduce((sum, call) => sum + call.users, local?.users ?? 0);
      this.#rate.cut(answer.waiting + answer.parked + users, performance.now());
      if (calls.length > 0) await handOver(calls);
      return answer;
    } catch (error) {
      // The next answer is waited for in any case, and a rest follows if it fails, too.
      this.#moreWaits = false;
      throw error;
    } finally {
      if (!taken) release();
    }
  }

  /** The call is worked off when the answer comes. The loop goes by the answers of later cuts. */
  #endLater(cutting: Promise<CutAnswer>, askedAtMs: number): void {
    const ended = cutting
      .catch((error: Error) => {
        if (!this.#loop.isStopping) this.#options.onTrouble(error);
      })
      .finally(() => this.#late.delete(ended));
    this.#late.set(ended, askedAtMs);
  }
}

/** Answers false when the work takes longer; the work goes on. */
async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
