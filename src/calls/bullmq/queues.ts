import type { Queue as BullQueue } from 'bullmq';
import type { ImportCommand } from '../../im/bodies.ts';
import type { RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import { askScript, loadScript } from '../../redis/script.ts';
import { ErrorCode, prepareForBullmq, Queue } from './bullmq.ts';

/** Names of jobs. A name tells the class of the call before its record is read. The record decides. */
const LIVE_JOB = 'call';
export const REDRIVE_JOB = 'redrive';
/** The job of a call that a process worked on itself before (local-calls.ts). */
export const AGAIN_JOB = 'again';
export type JobName = typeof LIVE_JOB | typeof REDRIVE_JOB | typeof AGAIN_JOB;

/**
 * A killed worker's lock expires after this, and the next look for stalled jobs brings its jobs back:
 * together well within the promised 15 s. A run that lost its lock does no harm: the record names its owner.
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

const localCallsScript = loadScript(import.meta.url, 'local-calls.lua');

export function queueName(command: ImportCommand): string {
  return `calls-${command}`;
}

/**
 * One BullMQ queue per command. A job stands for a call that is no local call (local-calls.ts). Its ID is the
 * record's, and it carries nothing else. So a job that comes twice or late finds the truth in the record.
 */
export class CallQueues {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #onTrouble: (error: Error) => void;
  readonly #queues: ReadonlyMap<ImportCommand, BullQueue>;

  constructor(
    redis: RedisClient,
    keys: Keys,
    commands: readonly ImportCommand[],
    onTrouble: (error: Error) => void,
  ) {
    this.#redis = prepareForBullmq(redis);
    this.#keys = keys;
    this.#onTrouble = onTrouble;
    this.#queues = new Map(commands.map((command) => [command, this.#open(command)]));
  }

  knows(command: string | null | undefined): command is ImportCommand {
    return this.#queues.has(command as ImportCommand);
  }

  /** Adds jobs. Changes nothing for a job that exists. */
  async add(command: ImportCommand, callIds: readonly string[], jobName: JobName = LIVE_JOB): Promise<void> {
    // Not addBulk: its transaction costs more than the jobs, and they need not be added together.
    await Promise.all(callIds.map((jobId) => this.#queueOf(command).add(jobName, {}, { jobId })));
  }

  async addAgain(command: ImportCommand, callId: string, delayMs: number): Promise<void> {
    await this.#queueOf(command).add(AGAIN_JOB, {}, { jobId: callId, delay: delayMs });
  }

  async place(command: ImportCommand, callId: string): Promise<JobPlace> {
    return PLACES[await this.#queueOf(command).getJobState(callId)] ?? 'nowhere';
  }

  /** Removes the rest of a job that would never run, and adds the job again. */
  async putBack(command: ImportCommand, callId: string): Promise<void> {
    // Adding a job that exists in any form changes nothing, even if it failed. So it is removed first. A
    // job that another process put back and a worker fetched meanwhile is locked, and stays.
    await this.#queueOf(command).remove(callId);
    await this.add(command, [callId]);
  }

  /** Makes a delayed job due now. */
  async bringForward(command: ImportCommand, callId: string): Promise<void> {
    const job = await this.#queueOf(command).getJob(callId);
    await job?.promote().catch((error: Error) => {
      // The job may have been fetched or removed meanwhile. No other error may stop the sweep.
      if ((error as { code?: unknown }).code !== ErrorCode.JobNotInState) this.#onTrouble(error);
    });
  }

  /** Repairs the TTL of a job's lock after Redis's clock was set back. */
  async repairLockTtl(command: ImportCommand, callId: string): Promise<void> {
    await this.#shortenTtl(this.#keyOf(command, `${callId}:lock`), LOCK_MS);
  }

  /** Repairs the TTL of the `stalled-check` key of each queue. */
  async repairStalledCheckTtl(): Promise<void> {
    for (const command of this.#queues.keys())
      await this.#shortenTtl(this.#keyOf(command, 'stalled-check'), STALLED_CHECK_MS);
  }

  async counts(command: ImportCommand): Promise<CallCounts> {
    const [counts, localCalls] = await Promise.all([
      this.#queueOf(command).getJobCounts('wait', 'prioritized', 'active', 'delayed'),
      askScript(this.#redis, localCallsScript, this.#keys, { command, queue: queueName(command) }),
    ]);
    return {
      waiting: (counts.wait ?? 0) + (counts.prioritized ?? 0),
      active: (counts.active ?? 0) + Number(localCalls),
      delayed: counts.delayed ?? 0,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }

  #open(command: ImportCommand): BullQueue {
    const queue = new Queue(queueName(command), {
      connection: this.#redis,
      prefix: this.#keys.bullPrefix,
      // This project checks eviction policy and persistence itself, at its start.
      skipVersionCheck: true,
      skipMetasUpdate: true,
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', this.#onTrouble);
    return queue;
  }

  #queueOf(command: ImportCommand): BullQueue {
    const queue = this.#queues.get(command);
    if (queue === undefined) throw new RangeError(`this worker has no queue for ${command}`);
    return queue;
  }

  #keyOf(command: ImportCommand, name: string): string {
    return `${this.#keys.bullPrefix}:${queueName(command)}:${name}`;
  }

  /**
   * Shortens a TTL that is far too long. When Redis's clock is set back by an hour, keys that should live for
   * seconds live for that hour: nobody would look for stalled jobs, and a dead worker's locks would stand. A
   * live worker renews its keys before the shortened TTL is over.
   */
  async #shortenTtl(key: string, ttlMs: number): Promise<void> {
    if ((await this.#redis.pttl(key)) > 2 * ttlMs) await this.#redis.pexpire(key, ttlMs);
  }
}
