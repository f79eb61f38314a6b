import type { Queue as BullQueue } from 'bullmq';
import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { loadScript, runScript } from '../../redis/script.ts';
import { ErrorCode, Queue } from './bullmq.ts';
import { prepareForBullmq } from './when-out-of-memory.ts';

/** Names of jobs. A name tells the class of the call before its record is read. The record decides. */
const LIVE_JOB = 'call';
export const REDRIVE_JOB = 'redrive';
/** The job of a call that a process worked on itself before (local-calls.ts). */
export const AGAIN_JOB = 'again';
export type JobName = typeof LIVE_JOB | typeof REDRIVE_JOB | typeof AGAIN_JOB;

/**
 * A killed worker's lock expires after this, and the next look for stalled jobs brings its jobs back:
 * together well within the promised 15 s. A run that lost its lock does no harm, since the record names its
 * owner.
 */
export const LOCK_MS = 6_000;
export const STALLED_CHECK_MS = 3_000;

/** Calls of one command by the state of their jobs. */
export interface CallCounts {
  readonly waiting: number;
  /** Includes local calls, which have no job. */
  readonly active: number;
  readonly delayed: number;
}

/**
 * Where the job of a call is: on its way (waiting or active), delayed, or nowhere. From nowhere it would
 * never be fetched: it was never added, was lost, or is kept as failed or completed.
 */
export type JobPlace = 'coming' | 'delayed' | 'nowhere';

const PLACES: Readonly<Record<string, JobPlace>> = {
  waiting: 'coming',
  prioritized: 'coming',
  active: 'coming',
  delayed: 'delayed',
};

/**
 * One BullMQ queue per command. A job stands for a call that is no local call (local-calls.ts). Its ID is the
 * record's, and it carries nothing else. So a job that comes twice or late finds the truth in the record.
 */
export interface CallQueues {
  /** Adds jobs. Changes nothing for a job that exists. */
  add(command: ImportCommand, callIds: readonly string[], jobName?: JobName): Promise<void>;
  /** Adds the job of a call that was local, due after `delayMs`. */
  addAgain(command: ImportCommand, callId: string, delayMs: number): Promise<void>;
  /** Whether the queue of this command is open here. */
  knows(command: string | null | undefined): command is ImportCommand;
  place(command: ImportCommand, callId: string): Promise<JobPlace>;
  /** Removes the rest of a job that would never run, and adds the job again. */
  putBack(command: ImportCommand, callId: string): Promise<void>;
  /** Makes a delayed job due now. Reports to `onTrouble` when that fails. */
  bringForward(command: ImportCommand, callId: string): Promise<void>;
  /** Repairs the TTL of a job's lock after Redis's clock was set back. */
  repairLockTtl(command: ImportCommand, callId: string): Promise<void>;
  /** Repairs the TTL of the `stalled-check` key of one queue; of the next queue at the next call. */
  repairStalledCheckTtl(): Promise<void>;
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
  prepareForBullmq(connection);
  const queues = new Map(
    commands.map((command) => [command, openQueue(connection, keys, command, onTrouble)] as const),
  );
  const queueOf = (command: ImportCommand): BullQueue => {
    const queue = queues.get(command);
    if (queue === undefined) throw new RangeError(`this worker has no queue for ${command}`);
    return queue;
  };
  const keyOf = (command: ImportCommand, name: string): string =>
    `${keys.bullPrefix}:${queueName(command)}:${name}`;
  let repairs = 0;
  return {
    async add(command, callIds, jobName = LIVE_JOB) {
      // Not addBulk: its transaction costs more than the jobs, and they need not be added together.
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
      // Adding a job that exists in any form changes nothing, even if it failed. So it is removed first. A
      // job that another process put back and a worker fetched meanwhile is locked, and stays.
      await queueOf(command).remove(callId);
      await this.add(command, [callId]);
    },
    async bringForward(command, callId) {
      const job = await queueOf(command).getJob(callId);
      await job?.promote().catch((error: Error) => {
        // The job may have been fetched or removed meanwhile. Any other error must not stop the sweep of
        // other calls.
        if ((error as { code?: unknown }).code !== ErrorCode.JobNotInState) onTrouble(error);
      });
    },
    repairLockTtl: (command, callId) => shortenTtl(connection, keyOf(command, `${callId}:lock`), LOCK_MS),
    async repairStalledCheckTtl() {
      const command = commands[repairs++ % commands.length];
      if (command === undefined) return;
      await shortenTtl(connection, keyOf(command, 'stalled-check'), STALLED_CHECK_MS);
    },
    async counts(command) {
      const [counts, localCalls] = await Promise.all([
        queueOf(command).getJobCounts('wait', 'prioritized', 'active', 'delayed'),
        countLocalCalls(connection, keys, command, keyOf(command, '')),
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

function openQueue(
  connection: RedisClient,
  keys: Keys,
  command: ImportCommand,
  onTrouble: (error: Error) => void,
): BullQueue {
  const queue = new Queue(queueName(command), {
    connection,
    prefix: keys.bullPrefix,
    // This project checks eviction policy and persistence itself, at its start.
    skipVersionCheck: true,
    skipMetasUpdate: true,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  queue.on('error', onTrouble);
  return queue;
}

/**
 * Shortens a TTL that is far too long. When Redis's clock is set back by an hour, keys that should live for
 * seconds live for that hour: nobody would look for stalled jobs, and a dead worker's locks would stand. A
 * live worker renews its keys before the shortened TTL is over.
 */
async function shortenTtl(redis: RedisClient, key: string, ttlMs: number): Promise<void> {
  if ((await redis.pttl(key)) > 2 * ttlMs) await redis.pexpire(key, ttlMs);
}

const localCallsScript = loadScript(import.meta.url, 'local-calls.lua');

/**
 * Open calls of a command without a job: a process works on them itself, or died over them just now.
 * `jobPrefix`: the prefix of the keys of the command's jobs.
 */
async function countLocalCalls(
  connection: RedisClient,
  keys: Keys,
  command: ImportCommand,
  jobPrefix: string,
): Promise<number> {
  return Number(
    await runScript(connection, localCallsScript, [keys.open], [keys.callPrefix, command, jobPrefix]),
  );
}
