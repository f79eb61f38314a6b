import { createRequire } from 'node:module';

/**
 * This folder holds everything that relies on BullMQ's inside, and everything that imports BullMQ. It was
 * written for bullmq 6.7.0, which package.json pins. Before another version, read this list again. Each entry
 * has a test of the same number that fails when BullMQ changes it: test/redis/bullmq-internals.test.ts.
 *
 *  1. BullMQ is a CommonJS module, so `require` gives the same classes as `import` (this file).
 *  2. `Worker.moveToActive` (protected) fetches every job that the loop begins. `undefined` means that none
 *     waits. The loop then begins what it has fetched (call-worker.ts).
 *  3. `Worker.getBlockTimeout` (protected) is asked before the worker blocks, and answers in seconds
 *     (call-worker.ts).
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
 *     (when-out-of-memory.ts).
 * 14. The scripts that move jobs on have the names in `MOVING`, and run with a write before them, also while
 *     Redis is out of memory (when-out-of-memory.ts).
 * 15. The loop asks for a job again at once when Redis answers `moveToActive` with an error
 *     (when-out-of-memory.ts).
 * 16. The worker blocks on a `duplicate()` of its connection, with BZPOPMIN (when-out-of-memory.ts).
 *
 * BullMQ is required, not imported. For an import by name Node would read each of its 200 files a second
 * time, and loading would take twice as long (docs/decisions/0092).
 */
export const { DelayedError, ErrorCode, Queue, WaitingError, Worker } = createRequire(import.meta.url)(
  'bullmq',
) as typeof import('bullmq');
