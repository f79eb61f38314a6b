import { createRequire } from 'node:module';
import type { Cluster } from 'ioredis';
import type { RedisClient } from '../../redis/connect.ts';

/**
 * This folder holds everything that relies on BullMQ's inside, and everything that imports BullMQ. It was
 * written for bullmq 6.7.0, which package.json pins. Before another version, read this list again. Each entry
 * has a test of the same number that fails when BullMQ changes it: test/redis/bullmq-internals.test.ts.
 *
 *  1. BullMQ is a CommonJS module, so `require` gives the same classes as `import` (this file).
 *  2. `Worker.moveToActive` (protected) fetches every job that the loop begins. `undefined` means that none
 *     waits. The loop then begins what it has fetched (call-worker.ts).
 *  3. The worker blocks on a `duplicate()` of its connection, with BZPOPMIN (this file).
 *  4. A processor that calls `job.moveToDelayed` or `job.moveToWait` ends with DelayedError or WaitingError.
 *     The job then counts as neither failed nor completed. `attemptsStarted` counts its runs
 *     (call-worker.ts).
 *  5. `removeOnComplete` and `removeOnFail` leave no key of a job behind (call-worker.ts, queues.ts).
 *  6. With `autorun: false` only `run()` starts the loop. `close(true)` ends fetching and waits for no run
 *     (call-worker.ts).
 *  7. The queue's keys are `<prefix>:<queue>:` with `wait`, `delayed`, `stalled-check`, `<jobId>` and
 *     `<jobId>:lock`. A score in `delayed` is the due time in ms times 0x1000 (call-worker.ts, queues.ts,
 *     *.lua).
 *  8. A lock lives for `lockDuration` and is renewed while the run lasts. The key `stalled-check` lives for
 *     `stalledInterval`, and nobody looks for stalled jobs meanwhile (queues.ts).
 *  9. When a lock has expired, the job comes back, and never fails for a stall below `maxStalledCount`
 *     (call-worker.ts).
 * 10. Adding a job whose ID exists changes nothing, whatever its state. `remove` leaves a locked job alone
 *     (queues.ts).
 * 11. `getJobState` answers with the words of `PLACES`. `promote` rejects with ErrorCode.JobNotInState when
 *     the job is not delayed any more, or is gone (queues.ts).
 * 12. With `skipMetasUpdate` a queue does not write its settings to the `meta` key. So its event stream keeps
 *     BullMQ's default of about 10,000 entries (queues.ts).
 * 13. Each script becomes a command `<name>:<version>` by `defineCommand` on the connection that BullMQ is
 *     given, and is called as a method of it. Its first key is in the queue's hash slot
 *     (this file).
 * 14. The scripts that move jobs on have the names in `MOVING`, and run with a write before them, also while
 *     Redis is out of memory (this file).
 * 15. The loop asks for a job again at once when Redis answers `moveToActive` with an error
 *     (this file).
 * 16. `Worker.getBlockTimeout` (protected) is asked before the worker blocks, and answers in seconds
 *     (call-worker.ts).
 *
 * BullMQ is required, not imported. For an import by name Node would read each of its 200 files a second
 * time, and loading would take twice as long (docs/decisions/0092).
 */
export const { DelayedError, ErrorCode, Queue, WaitingError, Worker } = createRequire(import.meta.url)(
  'bullmq',
) as typeof import('bullmq');

/**
 * Lets BullMQ work with a Redis that refuses commands.
 *
 * Redis at its memory limit refuses a script at its first command that may need memory, unless the script has
 * written already. Most of BullMQ's scripts begin with such a command, though their work frees memory.
 * Without a harmless write before it a full Redis would never drain (docs/decisions/0050).
 *
 * When Redis answers with an error, BullMQ's worker asks for its next job again at once: thousands of times a
 * second, whatever the reason (a full disk, a replica, an ACL). So it is passed on after half a second.
 */
const FIRST_WRITE = "redis.call('DEL', KEYS[1] .. ':nothing')\n";
const ASK_AGAIN_MS = 500;

/** The scripts that move calls on. None of them can make a backlog grow. */
export const MOVING: ReadonlySet<string> = new Set([
  'addDelayedJob',
  'addStandardJob',
  'extendLock',
  'extendLocks',
  'moveJobFromActiveToWait',
  'moveStalledJobsToWait',
  'moveToActive',
  'moveToDelayed',
  'moveToFinished',
  'retryJob',
]);
/** The script with which the worker's loop asks for a job. */
const ASKING = 'moveToActive';

type Run = (...args: unknown[]) => Promise<unknown>;

const prepared = new WeakSet<RedisClient>();

/** To be called before BullMQ gets the connection. A second call changes nothing. */
export function prepareForBullmq(connection: RedisClient): RedisClient {
  if (prepared.has(connection)) return connection;
  prepared.add(connection);
  if (connection.isCluster) failSoonWhenBlocked(connection as Cluster);
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, definition) => {
    // BullMQ appends its version: `moveToActive:6.7.0`. A `#!` must stay in the first line.
    const [script = ''] = name.split(':');
    const isMoving = MOVING.has(script) && !definition.lua.startsWith('#!');
    define(name, isMoving ? { ...definition, lua: FIRST_WRITE + definition.lua } : definition);
    if (script === ASKING) delayErrors(connection as unknown as Record<string, Run>, name);
  };
  return connection;
}

/**
 * BullMQ blocks on a duplicate of the connection, and its watchdog closes that after 6 s. Closing a cluster
 * connection to a node that is gone may never end; then no job would be fetched any more. So a blocked
 * command fails well before the watchdog, and BullMQ blocks again.
 */
function failSoonWhenBlocked(connection: Cluster): void {
  const duplicate = connection.duplicate.bind(connection);
  connection.duplicate = (nodes, options) => duplicate(nodes, { ...options, maxRedirections: 10 });
}

function delayErrors(connection: Record<string, Run>, name: string): void {
  const run = connection[name]?.bind(connection);
  if (run === undefined) return;
  connection[name] = async (...args) => {
    try {
      return await run(...args);
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      throw error;
    }
  };
}
