import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Loop, type LoopDeadline } from '../lifecycle/loop.ts';
import { patienceMs } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { AppRedis } from '../redis/keys.ts';
import { type CutAnswer, type CutCall, type CutLimits, cutCalls, type LocalCall } from './cut.ts';

/** Gives back the place of a local call. */
export type ReleasePlace = () => void;

export interface CoalescerOptions extends AppRedis {
  /** A connection of its own, since it blocks. `close` closes it. */
  readonly blocking: RedisClient;
  readonly limits: CutLimits;
  /** Resolves when this process can take one more local call; to 'closing' when it takes none any more. */
  readonly place: () => Promise<ReleasePlace | 'closing'>;
  /** Names the run that owns the next call, as nobody else does. */
  readonly newRun: () => string;
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
/** Until a call is full or due, each process looks this often: a full call is cut so much later at most. */
const LINGER_LOOK_MS = 10;

/**
 * The loop that turns waiting events into calls. Every process runs one. The script decides, so it does not
 * matter which process asks.
 *
 * Each turn asks for one cut and goes by the answer:
 * - `cut`: the call goes to a run of this process; the next turn follows at once.
 * - `linger`: not due yet; it looks every few ms, as every process does.
 * - `empty`: it blocks on the stream until an event comes, and polls nothing.
 * - `blocked`: too many open calls, a hold or a pause; it looks again later.
 *
 * Under a backlog the loop does not wait for an answer that is long in coming: it asks for the next cut
 * (docs/decisions/0095).
 */
export class Coalescer implements LoopDeadline {
  readonly #options: CoalescerOptions;
  readonly #loop: Loop;
  readonly #patienceMs: number;
  /** Cuts whose answers the loop does not wait for, and when each was asked for, ms; oldest first. */
  readonly #late = new Map<Promise<unknown>, number>();
  #reading: Promise<unknown> | undefined;
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
  get dueMs(): number | null {
    const [oldestMs] = this.#late.values();
    return oldestMs ?? this.#loop.dueMs;
  }

  async #turn(): Promise<void> {
    // Without a place there is nothing to do; other processes may cut meanwhile.
    const release = await this.#loop.idleUntil(this.#options.place());
    if (release === 'closing') return this.#loop.rest(IDLE_TURN_MS);
    const askedAtMs = performance.now();
    const cutting = this.#cut(release);
    if (this.#moreWaits && this.#late.size < MOST_LATE) {
      const isLate = sleep(this.#patienceMs, true, { ref: false });
      if (await Promise.race([cutting.then(() => false), isLate])) return this.#endLater(cutting, askedAtMs);
    }
    return this.#restAfter(await cutting);
  }

  #restAfter(answer: CutAnswer): Promise<void> | void {
    switch (answer.kind) {
      case 'cut':
        return;
      case 'linger':
        return this.#loop.rest(Math.min(answer.dueInMs, LINGER_LOOK_MS));
      case 'empty':
        return this.#loop.rest(2 * IDLE_TURN_MS, this.#somethingWaits());
      case 'blocked':
        return this.#loop.rest(answer.by === 'open-calls' ? BLOCKED_LOOK_MS : STOPPED_LOOK_MS);
    }
  }

  /** Resolves when the stream holds anything. Cut entries leave the stream, so it is read from its start. */
  #somethingWaits(): Promise<unknown> {
    if (this.#reading !== undefined) return this.#reading;
    const { blocking, keys } = this.#options;
    this.#reading = blocking
      .xread('COUNT', 1, 'BLOCK', IDLE_TURN_MS, 'STREAMS', keys.stream, '0-0')
      .finally(() => {
        this.#reading = undefined;
      });
    // The loop may be woken meanwhile. Then it hears of the failure of the next read.
    this.#reading.catch(() => undefined);
    return this.#reading;
  }

  /** Cuts once, and has what was cut worked off. */
  async #cut(release: ReleasePlace): Promise<CutAnswer> {
    const { limits, newRun, take, handOver } = this.#options;
    let taken = false;
    try {
      const answer = await cutCalls(this.#options, limits, newRun());
      this.#moreWaits = answer.kind === 'cut' && answer.waiting >= limits.maxUsers;
      if (answer.kind !== 'cut') return answer;
      const { local, calls } = answer;
      if (local !== undefined) {
        taken = true;
        take(local, release);
      }
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
