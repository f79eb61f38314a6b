import { type Loop, type LoopDeadline, startEvery } from '../lifecycle/loop.ts';
import type { RunEnd } from './bullmq/call-worker.ts';

/** A heartbeat for the sweep, which takes a record that has not moved for 5 s as abandoned. */
const KEEP_ALIVE_MS = 1_500;

interface LocalCallsOptions {
  /** Local calls at a time, at most. */
  readonly places: number;
  /** Marks these calls in Redis as being worked on. */
  readonly show: (callIds: readonly string[]) => Promise<void>;
  /** Makes the job of a call, due after `delayMs`. Rejects when Redis fails; then the sweep makes it. */
  readonly addJob: (callId: string, delayMs: number) => Promise<void>;
  /** A run rejected. */
  readonly onFailed: (callId: string, error: Error) => void;
  readonly onTrouble: (error: Error) => void;
}

/**
 * Local calls: the process that cut them works on them itself. As long as nothing fails they need no job.
 * That saves half of a call's work in Redis, and no second process wakes for a lone event. A job is made when
 * a call is delayed, or when a process that stops leaves it. When a process dies, its records move no more,
 * and the sweep adds their jobs (calls/sweep.ts), as it does for a lost job.
 */
export class LocalCalls {
  readonly #options: LocalCallsOptions;
  readonly #calls = new Map<string, Promise<void>>();
  readonly #waitingForRoom: (() => void)[] = [];
  readonly #keepAlive: Loop;

  constructor(options: LocalCallsOptions) {
    this.#options = options;
    const beat = async (): Promise<void> => {
      if (this.size > 0) await options.show([...this.#calls.keys()]);
    };
    this.#keepAlive = startEvery(KEEP_ALIVE_MS, beat, options.onTrouble);
  }

  get size(): number {
    return this.#calls.size;
  }

  /** The deadline of the loop that keeps the calls alive in Redis. */
  get deadline(): LoopDeadline {
    return this.#keepAlive;
  }

  /** Starts the run of a call. If `run` rejects (a bug, or Redis broke off), the sweep brings it back. */
  take(callId: string, run: () => Promise<RunEnd>): void {
    this.#calls.set(callId, this.#run(callId, run));
  }

  /** Resolves when there is room for one more call: at once, or when a call has ended. */
  async room(): Promise<void> {
    if (this.size >= this.#options.places)
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Resolves when all have ended. Calls that wait for a slot must be told to leave before. */
  async close(): Promise<void> {
    await Promise.all(this.#calls.values());
    // Not waited for: Redis may answer late.
    void this.#keepAlive.stop();
  }

  async #run(callId: string, run: () => Promise<RunEnd>): Promise<void> {
    const { addJob, onFailed } = this.#options;
    try {
      // One tick later, so that `take` has noted the call before its run begins.
      const end = await Promise.resolve().then(run);
      if (end.kind === 'finished') return;
      await addJob(callId, end.kind === 'later' ? Math.max(1, Math.ceil(end.delayMs)) : 0);
    } catch (error) {
      onFailed(callId, error as Error);
    } finally {
      this.#calls.delete(callId);
      this.#waitingForRoom.shift()?.();
    }
  }
}
