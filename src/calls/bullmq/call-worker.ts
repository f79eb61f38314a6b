import { performance } from 'node:perf_hooks';
import type { Job, WorkerOptions } from 'bullmq';
import type { ImportCommand } from '../../im/bodies.ts';
import { type Loop, type LoopDeadline, startEvery } from '../../lifecycle/loop.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { DelayedError, prepareForBullmq, WaitingError, Worker } from './bullmq.ts';
import { AGAIN_JOB, LOCK_MS, queueName, REDRIVE_JOB, STALLED_CHECK_MS } from './queues.ts';

/** How a run of a call ended, and so what becomes of its job. */
export type RunEnd =
  | { readonly kind: 'finished' }
  /** The record stays. The job comes back after `delayMs`. */
  | { readonly kind: 'later'; readonly delayMs: number }
  /** This process stops. Another one takes the job at once. */
  | { readonly kind: 'leave' };

/**
 * BullMQ's loop begins no run while it may fetch one more job and there is one. With 200 runs at a time a
 * process that starts on a backlog would fetch 200 jobs before its first call. After so many it is told that
 * none waits, and begins the runs.
 */
const FETCHED_AHEAD = 8;
/** The loop asks for a job again well within this, unless it said how long it blocks. */
const FETCH_MS = 15_000;

class EagerWorker extends Worker {
  /** By when it must fetch again, on `performance.now()`. */
  fetchDueMs = performance.now() + FETCH_MS;
  private fetchedAhead = 0;

  /** To be called at the start of each run. */
  begun(): void {
    this.fetchedAhead = Math.max(0, this.fetchedAhead - 1);
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    if (this.fetchedAhead >= FETCHED_AHEAD) {
      // One less, so that the next fetch asks Redis, whatever became of the jobs that were fetched.
      this.fetchedAhead -= 1;
      return undefined as unknown as Job;
    }
    this.fetchDueMs = performance.now();
    const job: Job | undefined = await super.moveToActive(token, name);
    this.fetchDueMs = performance.now() + FETCH_MS;
    if (job !== undefined) this.fetchedAhead += 1;
    return job as Job;
  }

  protected override getBlockTimeout(blockUntil: number): number {
    const seconds = super.getBlockTimeout(blockUntil);
    this.fetchDueMs = performance.now() + seconds * 1_000 + FETCH_MS;
    return seconds;
  }
}

/** A stall is no fault of the call, so no job fails for it. */
const MAX_STALLS = 1_000_000;

export interface CallWorkerOptions {
  readonly command: ImportCommand;
  readonly connection: RedisClient;
  readonly keys: Keys;
  readonly concurrency: number;
  /** `kind`: what the job tells of its call: `live`, `redrive`, or `again` when it ran before. */
  readonly run: (callId: string, kind: string) => Promise<RunEnd>;
  /** The job failed: a bug, or Redis broke off. The sweep brings the call back. */
  readonly onFailed: (callId: string, error: Error) => void;
  readonly onTrouble: (error: Error) => void;
}

/** Works off the jobs of one command, from its construction until it is closed. */
export class CallWorker implements LoopDeadline {
  readonly #options: CallWorkerOptions;
  readonly #watch: Loop;
  #worker: EagerWorker;
  #running = 0;
  #begun = 0;
  #begunAtLook = 0;

  constructor(options: CallWorkerOptions) {
    const { command, connection, keys, concurrency, onTrouble } = options;
    this.#options = options;
    this.#worker = this.#open();
    this.#watch = startFetchWatch({
      hasRoom: () => {
        const beganNone = this.#begun === this.#begunAtLook;
        this.#begunAtLook = this.#begun;
        return beganNone && this.#running < concurrency;
      },
      dueJobs: () => countDueJobs(connection, keys, command, Date.now()),
      onStuck: () => {
        onTrouble(
          new Error('jobs waited and were not fetched: the connection that fetches them is replaced'),
        );
        // The stuck worker may never close. It fetches nothing more, so it is not waited for.
        this.#worker.close(true).catch(onTrouble);
        this.#worker = this.#open();
      },
    });
  }

  /** The deadline of the loop that fetches jobs. With as many runs as it may have, it fetches none. */
  get deadline(): LoopDeadline {
    return this;
  }

  get dueMs(): number | null {
    return this.#running < this.#options.concurrency ? this.#worker.fetchDueMs : null;
  }

  /** Fetches no more jobs. Resolves when the current runs have ended. */
  close(): Promise<void> {
    void this.#watch.stop();
    return this.#worker.close();
  }

  #open(): EagerWorker {
    const { command, onFailed, onTrouble } = this.#options;
    const run = (job: Job, token?: string) => this.#run(job, token);
    const opened = new EagerWorker(queueName(command), run, workerSettings(this.#options));
    opened.on('error', onTrouble);
    opened.on('failed', (job, error) => onFailed(job?.id ?? '', error));
    opened.run().catch(onTrouble);
    return opened;
  }

  async #run(job: Job, token: string | undefined): Promise<void> {
    this.#running++;
    this.#begun++;
    this.#worker.begun();
    const end = await this.#options.run(job.id ?? '', kindOf(job)).finally(() => {
      this.#running--;
    });
    await putBack(job, token, end);
  }
}

function workerSettings({ connection, keys, concurrency }: CallWorkerOptions): WorkerOptions {
  return {
    connection: prepareForBullmq(connection),
    prefix: keys.bullPrefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    skipVersionCheck: true,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    runRetryDelay: 1_000,
    // The constructor would start the loop before EagerWorker has its fields.
    autorun: false,
  };
}

function kindOf(job: Job): string {
  if (job.attemptsStarted > 1 || job.name === AGAIN_JOB) return 'again';
  return job.name === REDRIVE_JOB ? 'redrive' : 'live';
}

/** Puts the job of a call that is not finished back, and tells BullMQ so by the error that it throws. */
async function putBack(job: Job, token: string | undefined, end: RunEnd): Promise<void> {
  if (end.kind === 'later') {
    await job.moveToDelayed(Date.now() + Math.max(1, Math.ceil(end.delayMs)), token);
    throw new DelayedError();
  }
  if (end.kind === 'leave') {
    await job.moveToWait(token);
    throw new WaitingError();
  }
}

const LOOK_EVERY_MS = 5_000;
/** Looks in a row that must find the same. A fetch takes milliseconds. */
const LOOKS = 2;

/**
 * Notices when jobs wait and this process does not fetch them, though it has room. BullMQ's blocking
 * connection can get stuck for good when a cluster loses a node: in one of ten kills of the node that owned
 * the queue (bullmq 6.7). BullMQ's loop may also end by itself. Then a new worker replaces the stuck one.
 */
export function startFetchWatch({
  hasRoom,
  dueJobs,
  onStuck,
}: {
  /** One more run could begin, and none has begun since the last look. */
  readonly hasRoom: () => boolean;
  /** Jobs that could run now. Rejects while Redis is away; such a look counts for nothing. */
  readonly dueJobs: () => Promise<number>;
  readonly onStuck: () => void;
}): Loop {
  let found = 0;
  const look = async (): Promise<void> => {
    found = hasRoom() && (await dueJobs()) > 0 ? found + 1 : 0;
    if (found < LOOKS || loop.isStopping) return;
    found = 0;
    onStuck();
  };
  const loop = startEvery(LOOK_EVERY_MS, look, () => {
    found = 0;
  });
  return loop;
}

/** A delayed job that is due is fetched within this. Clocks may differ a little. */
const DUE_SINCE_MS = 5_000;

/** Jobs of a command that could run now: waiting ones, and delayed ones that have been due for 5 s. */
export async function countDueJobs(
  redis: RedisClient,
  keys: Keys,
  command: ImportCommand,
  nowMs: number,
): Promise<number> {
  const jobs = `${keys.bullPrefix}:${queueName(command)}`;
  // BullMQ keeps the due time of a delayed job in the upper bits of its score.
  const due = (nowMs - DUE_SINCE_MS) * 0x1000;
  const counts = await Promise.all([
    redis.llen(`${jobs}:wait`),
    redis.zcount(`${jobs}:delayed`, '-inf', due),
  ]);
  return counts[0] + counts[1];
}
