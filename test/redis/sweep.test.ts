import { Queue } from 'bullmq';
import { CallQueues, queueName } from '../../src/calls/bullmq/queues.ts';
import { sweep } from '../../src/calls/sweep.ts';
import { RECORD_FORMAT } from '../../src/ledger/record.ts';
import { BATCH, callOf, SINGLE, type Stage, users, useStages } from './stage.ts';

/** Every open record gets a job that will run it, whatever became of the first one. */
const fresh = useStages();

let stage: Stage;
let queues: CallQueues;
let troubles: string[];
let bull: Queue;
beforeEach(() => {
  stage = fresh();
  troubles = [];
  queues = new CallQueues(stage.redis, stage.keys, [BATCH, SINGLE], ({ message }) => troubles.push(message));
  bull = new Queue(queueName(BATCH), {
    connection: stage.redis,
    prefix: stage.keys.bullPrefix,
    skipVersionCheck: true,
  });
});
afterEach(async () => {
  await queues.close();
  await bull.close();
});

const key = (name: string): string => `${stage.keys.bullPrefix}:${queueName(BATCH)}:${name}`;

/** A call that was cut and has not moved for a minute, with a job or without. */
async function callWith(job: boolean): Promise<string> {
  await stage.add(...users(1, `u${Math.random().toString(36).slice(2, 10)}-`));
  const { callId } = callOf(await stage.cut());
  if (job) await queues.add(BATCH, [callId]);
  await age(callId);
  return callId;
}

async function age(callId: string): Promise<void> {
  await stage.redis.zadd(stage.keys.open, Date.now() - 60_000, callId);
}

const swept = async () => {
  const { atMs, ...found } = await sweep(stage, queues, 60_000);
  expect(atMs).toBeGreaterThan(0);
  return found;
};
const quiet = { putBack: 0, overdue: 0, foreign: 0, unaccounted: 0 };

test('a job that will run is left alone', async () => {
  await callWith(true);
  expect(await swept()).toEqual(quiet);
  expect(await bull.getWaitingCount()).toBe(1);
});

test('a call that moved just now is left alone', async () => {
  await stage.add(...users(1));
  callOf(await stage.cut());
  expect(await swept()).toEqual(quiet);
});

describe('the job is put back', () => {
  const cases: [string, (callId: string) => Promise<unknown>][] = [
    ['when it was never added', async (callId) => bull.remove(callId)],
    [
      'when it failed and was kept',
      async (callId) => {
        await stage.redis.lrem(key('wait'), 0, callId);
        await stage.redis.zadd(key('failed'), Date.now(), callId);
      },
    ],
    [
      'when it is marked as completed',
      async (callId) => {
        await stage.redis.lrem(key('wait'), 0, callId);
        await stage.redis.zadd(key('completed'), Date.now(), callId);
      },
    ],
    ['when it is in no list', async (callId) => stage.redis.lrem(key('wait'), 0, callId)],
  ];
  test.each(cases)('%s', async (_what, spoil) => {
    const callId = await callWith(true);
    await spoil(callId);
    expect(await swept()).toEqual({ ...quiet, putBack: 1 });
    expect(await bull.getJobState(callId)).toBe('waiting');
    expect(await swept()).toEqual(quiet);
  });
});

test('a job that is delayed for an hour although its call is due is brought forward', async () => {
  const callId = await callWith(false);
  await bull.add('call', {}, { jobId: callId, delay: 3_600_000 });
  expect(await swept()).toEqual({ ...quiet, overdue: 1 });
  expect(await bull.getJobState(callId)).toBe('waiting');
  // A job that became due by itself, or was done and removed, is no trouble.
  await queues.bringForward(BATCH, callId);
  await bull.remove(callId);
  await queues.bringForward(BATCH, callId);
  expect(troubles).toEqual([]);
});

test('an error while a job is brought forward is reported, and other jobs are still brought forward', async () => {
  const { redis } = stage;
  for (let i = 0; i < 2; i++) await bull.add('call', {}, { jobId: await callWith(false), delay: 3_600_000 });
  await redis.set(key('wait'), 'no list');
  expect(await swept()).toEqual({ ...quiet, overdue: 2 });
  expect(troubles).toEqual([expect.stringContaining('WRONGTYPE'), expect.stringContaining('WRONGTYPE')]);
  await redis.del(key('wait'));
  expect(await swept()).toEqual({ ...quiet, putBack: 2 });
});

test('records of a newer format or of a command that this worker does not make are left unchanged', async () => {
  const { redis, keys } = stage;
  const newer = keys.callPrefix + (await callWith(false));
  await redis.hset(newer, 'v', String(RECORD_FORMAT + 1), 'command', 'something_new', 'shape', 'unheard of');
  await redis.hdel(newer, 'entries');
  const other = keys.callPrefix + (await callWith(false));
  await redis.hset(other, 'command', 'register_account_v1');
  const before = [await redis.hgetall(newer), await redis.hgetall(other)];
  const orphan = await callWith(false);
  expect(await swept()).toEqual({ ...quiet, putBack: 1, foreign: 2 });
  expect([await redis.hgetall(newer), await redis.hgetall(other)]).toEqual(before);
  expect(await bull.getJobState(orphan)).toBe('waiting');
  expect(await redis.zcard(keys.open)).toBe(3);
});

test('an orphan behind more than a page of records that are left alone is found', async () => {
  const { redis, keys } = stage;
  const pipeline = redis.pipeline();
  for (let i = 0; i < 1_200; i++) {
    pipeline.hset(`${keys.callPrefix}x${i}`, 'v', '2', 'command', BATCH, 'events', '0');
    pipeline.zadd(keys.open, 1_000 + i, `x${i}`);
  }
  await pipeline.exec();
  const callId = await callWith(false);
  expect(await swept()).toEqual({ ...quiet, putBack: 1, foreign: 1_200 });
  expect(await bull.getJobState(callId)).toBe('waiting');
});

test('an open call without a record is removed from the list', async () => {
  await stage.redis.zadd(stage.keys.open, 1_000, 'c999');
  expect(await swept()).toEqual(quiet);
  expect(await stage.redis.zcard(stage.keys.open)).toBe(0);
});

test('a record that is missing from the open ones shows in the totals', async () => {
  const callId = await callWith(true);
  await stage.add(...users(3, 'more'));
  callOf(await stage.cut());
  await stage.redis.zrem(stage.keys.open, callId);
  expect(await swept()).toEqual({ ...quiet, unaccounted: 1 });
});
