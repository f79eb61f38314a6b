import type { Job, WorkerOptions } from 'bullmq';
import type { ImportCommand } from '../../im/bodies.ts';
import { createLoopDeadline, type LoopDeadline } from '../../lifecycle/loop-deadline.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { DelayedError, WaitingError, Worker } from './bullmq.ts';
import { countDueJobs } from './due-jobs.ts';
import { startFetchWatch } from './fetch-watch.ts';
import { LOCK_MS, STALLED_CHECK_MS } from './key-lifetimes.ts';
import { AGAIN_JOB, queueName, REDRIVE_JOB } from './queues.ts';
import { getsAlongWhenRefused } from './when-out-of-memory.ts';

/** How a run of a call ended, as far as its job is concerned. */
export type RunEnd =
  | { readonly kind: 'finished' }
  /** The record stays; the job comes back after `delayMs`. */
  | { readonly kind: 'later'; readonly delayMs: number }
  /** This process stops: another one shall have the job at once. */
  | { readonly kind: 'leave' };

export interface CallWorker {
  /** Fetches no more jobs; resolves when those at work have ended. */
  close(): Promise<void>;
  /** False when its loop has ended though nobody closed it: no job would be fetched any more. */
  readonly isRunning: boolean;
  /** Of its loop that fetches jobs. */
  readonly deadline: LoopDeadline;
}

/** Without a word about how long it blocks, the loop asks again well within this. */
const FETCH_MS = 15_000;

/**
 * BullMQ's loop begins no run while it has room for one more job and there is one: with 200 fetchers a process that
 * starts on a backlog would fetch 200 jobs before its first call. Told now and then that there is none, it begins
 * what it has.
 */
const FETCHED_AHEAD = 8;

/** BullMQ's worker, whose loop can be seen to turn: it says when it fetches, and when it waits for something to come. */
class SeenWorker extends Worker {
  readonly fetching = createLoopDeadline();
  private fetchedAhead = 0;

  /** To be called at the begin of each run. */
  begun(): void {
    this.fetchedAhead = Math.max(0, this.fetchedAhead - 1);
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    if (this.fetchedAhead >= FETCHED_AHEAD) {
      // One less, so that the next asking is a real one whatever became of those that were fetched.
      this.fetchedAhead -= 1;
      return undefined as unknown as Job;
    }
    this.fetching.turn();
    const job: Job | undefined = await super.moveToActive(token, name);
    this.fetching.rest(FETCH_MS);
    if (job !== undefined) this.fetchedAhead += 1;
    return job as Job;
  }

  protected override getBlockTimeout(blockUntil: number): number {
    const seconds = super.getBlockTimeout(blockUntil);
    this.fetching.rest(seconds * 1_000 + FETCH_MS);
    return seconds;
  }
}

/** A stall is no fault of the call: never fail a job for it. */
const MAX_STALLS = 1_000_000;

export function startCallWorker(options: {
  readonly command: ImportCommand;
  readonly connection: RedisClient;
  readonly keys: Keys;
  readonly concurrency: number;
  /** `kind`: what the job tells of the class of its call: `live`, `redrive`, or `again` when it ran before. */
  readonly run: (callId: string, kind: string) => Promise<RunEnd>;
  /** The job failed: a bug, or Redis broke off. The sweep brings the call back. */
  readonly onFailed: (callId: string, error: Error) => void;
  readonly onTrouble: (error: Error) => void;
}): CallWorker {
  const { command, connection, keys, concurrency, run, onFailed, onTrouble } = options;
  let running = 0;
  let begun = 0;
  const runCounted = async (callId: string, kind: string): Promise<RunEnd> => {
    running++;
    begun++;
    worker.begun();
    try {
      return await run(callId, kind);
    } finally {
      running--;
    }
  };
  const open = (): SeenWorker => {
    const opened = new SeenWorker(queueName(command), processor, settings);
    opened.on('error', onTrouble);
    opened.on('failed', (job, error) => onFailed(job?.id ?? '', error));
    opened.run().catch(onTrouble);
    return opened;
  };
  const processor = async (job: Job, token?: string) => {
    const ranBefore = job.attemptsStarted > 1 || job.name === AGAIN_JOB;
    const kind = ranBefore ? 'again' : job.name === REDRIVE_JOB ? 'redrive' : 'live';
    const end = await runCounted(job.id ?? '', kind);
    if (end.kind === 'later') {
      await job.moveToDelayed(Date.now() + Math.max(1, Math.ceil(end.delayMs)), token);
      throw new DelayedError();
    }
    if (end.kind === 'leave') {
      await job.moveToWait(token);
      throw new WaitingError();
    }
  };
  const settings: WorkerOptions = {
    connection: getsAlongWhenRefused(connection),
    prefix: keys.bullPrefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    skipVersionCheck: true,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    runRetryDelay: 1_000,
    // Not by its constructor, which would be before it can be seen.
    autorun: false,
  };
  let worker = open();
  let begunAtLook = 0;
  const watch = startFetchWatch({
    isIdle: () => {
      const idle = running === 0 && begun === begunAtLook;
      begunAtLook = begun;
      return idle;
    },
    dueJobs: () => countDueJobs(connection, keys, command, Date.now()),
    onStuck: () => {
      onTrouble(new Error('jobs waited and were not fetched: the connection for them is made anew'));
      // What is stuck may not end; it fetches nothing more.
      worker.close(true).catch(onTrouble);
      worker = open();
    },
  });
  return {
    close: () => {
      watch.close();
      return worker.close();
    },
    get isRunning() {
      return worker.isRunning();
    },
    deadline: {
      get dueMs() {
        // With its hands full it fetches nothing.
        return running < concurrency ? worker.fetching.dueMs : null;
      },
    },
  };
}
