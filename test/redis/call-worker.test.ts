import { Queue } from 'bullmq';
import { CallWorker, countDueJobs } from '../../src/calls/bullmq/call-worker.ts';
import { CallQueues, queueName } from '../../src/calls/bullmq/queues.ts';
import { eventually } from '../support/eventually.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

/** A call worker that starts on a backlog. */
const fresh = useStages();
const WAITING = 100;

let stage: Stage;
let queues: CallQueues;
beforeEach(async () => {
  stage = fresh();
  queues = new CallQueues(stage.redis, stage.keys, [BATCH], () => undefined);
  await queues.add(
    BATCH,
    Array.from({ length: WAITING }, (_, i) => `call-${i}`),
  );
});
afterEach(() => queues.close());

const start = (concurrency: number, run: (callId: string) => Promise<{ readonly kind: 'finished' }>) =>
  new CallWorker({
    command: BATCH,
    connection: stage.redis,
    keys: stage.keys,
    concurrency,
    run,
    onFailed: () => undefined,
    onTrouble: () => undefined,
  });

it('begins its first run before it has fetched all jobs, and runs all of them at a time', async () => {
  const begun: string[] = [];
  let waitingAtFirst = -1;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const worker = start(2 * WAITING, async (callId) => {
    begun.push(callId);
    if (begun.length === 1) waitingAtFirst = (await queues.counts(BATCH)).waiting;
    await ended;
    return { kind: 'finished' };
  });
  await eventually('every call is worked on', () => begun.length === WAITING);
  expect(new Set(begun).size).toBe(WAITING);
  expect(waitingAtFirst).toBeGreaterThan(WAITING / 2);
  expect((await queues.counts(BATCH)).active).toBe(WAITING);
  end();
  await eventually('all have ended', async () => (await queues.counts(BATCH)).active === 0);
  await worker.close();
}, 60_000);

it('runs each call once when it may run only a few at a time', async () => {
  const begun: string[] = [];
  const worker = start(3, async (callId) => {
    begun.push(callId);
    return { kind: 'finished' };
  });
  await eventually('all have ended', async () => {
    const { waiting, active } = await queues.counts(BATCH);
    return waiting + active === 0;
  });
  expect(begun.sort()).toEqual(Array.from({ length: WAITING }, (_, i) => `call-${i}`).sort());
  await worker.close();
}, 60_000);

it('counts waiting jobs as due, and delayed jobs that have been due for some seconds', async () => {
  const { redis, keys } = stage;
  const due = (atMs = Date.now()) => countDueJobs(redis, keys, BATCH, atMs);
  expect(await due()).toBe(WAITING);
  const bull = new Queue(queueName(BATCH), {
    connection: redis,
    prefix: keys.bullPrefix,
    skipVersionCheck: true,
  });
  const [job] = await bull.getWaiting(0, 0);
  await bull.remove(job?.id ?? '');
  await bull.add('call', {}, { jobId: 'put-off', delay: 60_000 });
  await bull.close();
  expect(await due()).toBe(WAITING - 1);
  // A worker needs a moment to fetch it, and clocks differ a little.
  expect(await due(Date.now() + 62_000)).toBe(WAITING - 1);
  expect(await due(Date.now() + 66_000)).toBe(WAITING);
});
