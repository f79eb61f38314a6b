import { createLoopDeadline, type LoopDeadline } from '../lifecycle/loop.ts';
import type { RunEnd } from './bullmq/call-worker.ts';

/**
 * Local calls: the process that cut them works on them itself. As long as nothing fails they need no job.
 * That saves half of a call's work in Redis, and no second process wakes for a lone event. A job is made when
 * a call is delayed, or when a process that stops leaves it. When a process dies, its records move no more,
 * and the sweep adds their jobs (calls/sweep.ts), as it does for a lost job.
 */
export interface LocalCalls {
  /**
   * Starts the run of a call. `run` rejects only for a bug, or when Redis breaks off. Then the sweep brings
   * it back.
   */
  take(callId: string, run: () => Promise<RunEnd>): void;
  /** Resolves when there is room for one more call: at once, or when a call has ended. */
  room(): Promise<void>;
  readonly size: number;
  /** Resolves when all have ended. Calls that wait for a slot must be told to leave before. */
  close(): Promise<void>;
  /** The deadline of the loop that keeps the calls alive in Redis. */
  readonly deadline: LoopDeadline;
}

/** A heartbeat for the sweep, which takes a record that has not moved for 5 s as abandoned. */
const KEEP_ALIVE_MS = 1_500;

export function createLocalCalls(options: {
  /** Local calls at a time, at most. */
  readonly places: number;
  /** Marks these calls in Redis as being worked on. */
  readonly show: (callIds: readonly string[]) => Promise<void>;
  /**
   * Makes the job of a call that is due after `delayMs`. Rejects when Redis fails; then the sweep makes it.
   */
  readonly addJob: (callId: string, delayMs: number) => Promise<void>;
  /** A run rejected. */
  readonly onFailed: (callId: string, error: Error) => void;
  readonly onTrouble: (error: Error) => void;
}): LocalCalls {
  const { places, show, addJob, onFailed, onTrouble } = options;
  const calls = new Map<string, Promise<void>>();
  const waiting: (() => void)[] = [];
  const deadline = createLoopDeadline();
  let timer: NodeJS.Timeout | undefined;
  let closing = false;

  const keepAlive = async (): Promise<void> => {
    deadline.turn();
    try {
      if (calls.size > 0) await show([...calls.keys()]);
    } catch (error) {
      onTrouble(error as Error);
    }
    timer = undefined;
    scheduleKeepAlive();
  };
  const scheduleKeepAlive = (): void => {
    if (timer !== undefined) return;
    if (calls.size === 0 || closing) {
      deadline.idle();
      return;
    }
    deadline.rest(KEEP_ALIVE_MS);
    timer = setTimeout(() => void keepAlive(), KEEP_ALIVE_MS);
  };

  const runCall = async (callId: string, run: () => Promise<RunEnd>): Promise<void> => {
    try {
      // One tick later, so that `take` has noted the call before its run begins.
      const end = await Promise.resolve().then(run);
      if (end.kind === 'finished') return;
      await addJob(callId, end.kind === 'later' ? Math.max(1, Math.ceil(end.delayMs)) : 0);
    } catch (error) {
      onFailed(callId, error as Error);
    } finally {
      calls.delete(callId);
      waiting.shift()?.();
    }
  };

  return {
    take(callId, run) {
      calls.set(callId, runCall(callId, run));
      scheduleKeepAlive();
    },
    room: () => (calls.size < places ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    get size() {
      return calls.size;
    },
    async close() {
      await Promise.all(calls.values());
      closing = true;
      clearTimeout(timer);
      deadline.idle();
    },
    deadline,
  };
}
