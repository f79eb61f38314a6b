import type { Queue as BullQueue } from 'bullmq';
import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { ErrorCode, Queue } from './bullmq.ts';
import { countCallsInHand } from './count-local.ts';
import { endOverlong, LOCK_MS, STALLED_CHECK_MS } from './key-lifetimes.ts';
import { getsAlongWhenRefused } from './when-out-of-memory.ts';

/** Names of jobs. What counts of a call stands in its record; this is what is known of it before that is read. */
const LIVE_JOB = 'call';
export const REDRIVE_JOB = 'redrive';
/** Of a call that was in hand before. */
export const AGAIN_JOB = 'again';
export type JobName = typeof LIVE_JOB | typeof REDRIVE_JOB | typeof AGAIN_JOB;

/** Calls of one command by the state of their jobs. */
export interface CallCounts {
  readonly waiting: number;
  /** With those that a process works off itself. */
  readonly active: number;
  readonly delayed: number;
}

/**
 * Where the job of a call is: on its way (waiting or active), put off, or nowhere that it would ever be fetched
 * from: never added, lost, or kept as failed or completed.
 */
export type JobPlace = 'coming' | 'delayed' | 'nowhere';

const PLACES: Readonly<Record<string, JobPlace>> = {
  waiting: 'coming',
  prioritized: 'coming',
  active: 'coming',
  delayed: 'delayed',
};

/** BullMQ's words for a job that is put off no more. */
const GONE_ON: ReadonlySet<unknown> = new Set([ErrorCode.JobNotExist, ErrorCode.JobNotInState]);

/**
 * One BullMQ queue a command. A job is a call that nobody has in hand (in-hand.ts): its ID is the record's, and it
 * carries nothing else, so that a job that comes twice or late finds the truth in the record.
 */
export interface CallQueues {
  /** Adding a job that is there already changes nothing. */
  add(command: ImportCommand, callIds: readonly string[], jobName?: JobName): Promise<void>;
  /** Adds the job of a call that was in hand, due after `delayMs`. */
  addAgain(command: ImportCommand, callId: string, delayMs: number): Promise<void>;
  /** Whether this is a command whose queue is open here. */
  knows(command: string | null | undefined): command is ImportCommand;
  place(command: ImportCommand, callId: string): Promise<JobPlace>;
  /** Adds the job of a call that has none that would ever run, in the place of what may be left of one. */
  putBack(command: ImportCommand, callId: string): Promise<void>;
  /** Lets a job that is put off run now. That it cannot be is told to `onTrouble`. */
  bringForward(command: ImportCommand, callId: string): Promise<void>;
  /** Redis's clock may have been set back: the lock of a call's job must not stand for hours. */
  endOldLock(command: ImportCommand, callId: string): Promise<void>;
  /** The same for what keeps all others from looking for stalled jobs: of one queue at each asking, in turn. */
  endOldLooks(): Promise<void>;
  counts(command: ImportCommand): Promise<CallCounts>;
  close(): Promise<void>;
}

export function queueName(command: ImportCommand): string {
  return `calls-${command}`;
}

export function openCallQueues(
  connection: RedisClient,
  keys: Keys,
  commands: readonly ImportCommand[],
  onTrouble: (error: Error) => void,
): CallQueues {
  getsAlongWhenRefused(connection);
  const queues = new Map(
    commands.map((command) => {
      const queue = new Queue(queueName(command), {
        connection,
        prefix: keys.bullPrefix,
        // The policy and the persistence are checked by this project, at its start.
        skipVersionCheck: true,
        skipMetasUpdate: true,
        streams: { events: { maxLen: 100 } },
        defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
      });
      queue.on('error', onTrouble);
      return [command, queue] as const;
    }),
  );
  const queueOf = (command: ImportCommand): BullQueue => {
    const queue = queues.get(command);
    if (queue === undefined) throw new RangeError(`this worker has no queue for ${command}`);
    return queue;
  };
  let looks = 0;
  return {
    async add(command, callIds, jobName = LIVE_JOB) {
      // Not addBulk: its transaction costs more than the jobs, and nothing rests on them being added together.
      await Promise.all(callIds.map((jobId) => queueOf(command).add(jobName, {}, { jobId })));
    },
    async addAgain(command, callId, delayMs) {
      await queueOf(command).add(AGAIN_JOB, {}, { jobId: callId, delay: delayMs });
    },
    knows: (command): command is ImportCommand => queues.has(command as ImportCommand),
    async place(command, callId) {
      return PLACES[await queueOf(command).getJobState(callId)] ?? 'nowhere';
    },
    async putBack(command, callId) {
      // Adding a job that is there in any form changes nothing, not even one that failed. What somebody else put
      // back just now and a worker fetched is locked, and stays.
      await queueOf(command).remove(callId);
      await this.add(command, [callId]);
    },
    async bringForward(command, callId) {
      const job = await queueOf(command).getJob(callId);
      await job?.promote().catch((error: Error) => {
        // Fetched meanwhile: so much the better. Anything else must not keep the sweep from the other calls.
        if (!GONE_ON.has((error as { code?: unknown }).code)) onTrouble(error);
      });
    },
    endOldLock: (command, callId) =>
      endOverlong(connection, `${keys.bullPrefix}:${queueName(command)}:${callId}:lock`, LOCK_MS),
    async endOldLooks() {
      const command = commands[looks++ % commands.length];
      if (command === undefined) return;
      const key = `${keys.bullPrefix}:${queueName(command)}:stalled-check`;
      await endOverlong(connection, key, STALLED_CHECK_MS);
    },
    async counts(command) {
      const [counts, localCalls] = await Promise.all([
        queueOf(command).getJobCounts('wait', 'prioritized', 'active', 'delayed'),
        countCallsInHand(connection, keys, command, `${keys.bullPrefix}:${queueName(command)}:`),
      ]);
      return {
        waiting: (counts.wait ?? 0) + (counts.prioritized ?? 0),
        active: (counts.active ?? 0) + localCalls,
        delayed: counts.delayed ?? 0,
      };
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
