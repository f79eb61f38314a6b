import { CallQueues } from '../../src/calls/bullmq/queues.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { audit } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';

/** Local calls when their process stops or dies, with real processes and signals. */
let fleet: Fleet;
beforeAll(async () => {
  // Four calls a second, so that several calls wait for their slots at a time.
  fleet = await startFleet({
    workers: 0,
    env: { IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '4', IMSYNC_BATCH_MAX_SIZE: '5' },
  });
}, 120_000);
afterAll(() => fleet?.stop(), 60_000);

const openCalls = (): Promise<string[]> => fleet.redis.zrange(fleet.keys.open, '0', '-1');

test('a paused worker that stops hands its local calls over at once, and another worker makes them', async () => {
  const { redis, keys } = fleet;
  const queues = new CallQueues(redis, keys, ['multiaccount_import', 'account_import'], (error) => {
    throw error;
  });
  const hold = createHoldState(redis, keys);
  const worker = await fleet.startWorker();
  await fleet.addUsers(200, 'stop');
  await eventually('several calls are open', async () => (await openCalls()).length >= 4);
  expect(await queues.counts('multiaccount_import')).toMatchObject({ waiting: 0, delayed: 0 });
  await hold.pause('test', Date.now());
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  const open = await openCalls();
  expect(open.length).toBeGreaterThan(0);
  expect(await queues.counts('multiaccount_import')).toEqual({ waiting: open.length, active: 0, delayed: 0 });
  expect((await audit(redis, keys)).problems).toEqual([]);
  await hold.resume();
  await fleet.startWorker({ IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '90' });
  await fleet.drained();
  expect(fleet.simulator.accounts.size).toBe(200);
  await queues.close();
}, 120_000);

test('a worker that is killed loses none of its local calls: the sweep adds their jobs', async () => {
  const before = fleet.simulator.accounts.size;
  for (const worker of fleet.workers) worker.signal('SIGTERM');
  await Promise.all(fleet.workers.map(({ ended }) => ended));
  const worker = await fleet.startWorker();
  await fleet.addUsers(200, 'kill');
  await eventually('several calls are open', async () => (await openCalls()).length >= 4);
  worker.signal('SIGKILL');
  await worker.ended;
  expect((await openCalls()).length).toBeGreaterThan(0);
  const another = await fleet.startWorker({ IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '90' });
  await fleet.drained();
  expect(fleet.simulator.accounts.size).toBe(before + 200);
  await another.line('calls without a job were put back');
  expect((await audit(fleet.redis, fleet.keys)).problems).toEqual([]);
}, 120_000);
