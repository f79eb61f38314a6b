import { createLoopDeadline, type LoopDeadline } from '../lifecycle/loop-deadline.ts';
import type { RunEnd } from './bullmq/call-worker.ts';

/**
 * Calls that the process which cut them works off itself. While all goes well no job is added, fetched, locked and
 * closed for them: half of what a call asked of Redis, and a process less to wake for a lone event. A job is made when a
 * call is put off, or left by a process that stops. When a process dies, its records are seen to move no more, and the
 * sweep adds their jobs (calls/sweep.ts): as for a record whose job was lost.
 */
export interface LocalCalls {
  /** Works a call off. `run` never rejects but for a bug, or when Redis breaks off: then the sweep brings it back. */
  take(callId: string, run: () => Promise<RunEnd>): void;
  /** Resolves when fewer calls are in hand than may be: at once, or when one has ended. */
  room(): Promise<void>;
  readonly size: number;
  /** Resolves when all have ended. Whoever waits for a slot must be told to leave first. */
  close(): Promise<void>;
  /** Of the loop that shows that they move. */
  readonly deadline: LoopDeadline;
}

/** The sweep takes a record that has not moved for 5 s for one that nobody works on. */
const SHOWN_EVERY_MS = 1_500;

export function createLocalCalls(options: {
  /** Calls at a time, at most. */
  readonly places: number;
  /** Says in Redis that these calls are being worked on. */
  readonly show: (callIds: readonly string[]) => Promise<void>;
  /** Makes the job of a call that is due after `delayMs`. Rejects when Redis fails; the sweep makes up for it. */
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

  const showAll = async (): Promise<void> => {
    deadline.turn();
    try {
      if (calls.size > 0) await show([...calls.keys()]);
    } catch (error) {
      onTrouble(error as Error);
    }
    timer = undefined;
    showLater();
  };
  const showLater = (): void => {
    if (timer !== undefined) return;
    if (calls.size === 0 || closing) {
      deadline.idle();
      return;
    }
    deadline.rest(SHOWN_EVERY_MS);
    timer = setTimeout(() => void showAll(), SHOWN_EVERY_MS);
  };

  const work = async (callId: string, run: () => Promise<RunEnd>): Promise<void> => {
    try {
      // Not before it is noted as being in hand.
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
      calls.set(callId, work(callId, run));
      showLater();
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
