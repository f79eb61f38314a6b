import { Readable } from 'node:stream';
import type { StoredLetter } from '../../src/ledger/letters/dead-letters.ts';
import { listDeadLetters, newestDeathMs } from '../../src/ledger/letters/letter-store.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { type RedriveOptions, type RedriveReport, redrive } from '../../src/tasks/redrive.ts';
import { namedLetters } from '../../src/tasks/redrive-letters.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(1400000000);
let server: TestRedis;
let redis: RedisClient;
let code = 0;
const driver = () => createCallDriver(redis, keys, async () => apiAnswer(code));

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

async function settleAll(errorCode: number): Promise<void> {
  code = errorCode;
  const { cut, run } = driver();
  for (let calls = await cut(); calls.length > 0; ) calls = await cut();
  for (const callId of await redis.zrange(keys.open, '0', '-1')) await run(callId);
}

async function refused(userIds: readonly string[]): Promise<void> {
  for (const userId of userIds) await redis.xadd(keys.stream, '*', 'userId', userId);
  await settleAll(70402);
}

const added: string[] = [];
function redriveAll(
  more: Partial<RedriveOptions> = {},
  request = {},
  letters: AsyncIterable<StoredLetter | 'unnamed'> = listDeadLetters({ redis, keys }),
): Promise<RedriveReport> {
  added.length = 0;
  return redrive(optionsWith(more, request), letters);
}

function optionsWith(more: Partial<RedriveOptions>, request: object): RedriveOptions {
  return {
    redis,
    keys,
    queues: {
      add: async (_command, callIds) => {
        added.push(...callIds);
      },
    },
    request: {
      by: 'test',
      batchCommand: 'multiaccount_import',
      singleCommand: 'account_import',
      maxOpenCalls: 20,
      dryRun: false,
      early: false,
      invalid: false,
      ...request,
    },
    allowOddIds: [],
    maxUsers: 100,
    usersPerSecond: Number.POSITIVE_INFINITY,
    maxFailedShare: 0.5,
    hasRoom: async () => true,
    onProgress: () => undefined,
    sleep: async () => undefined,
    ...more,
  };
}

const users = (count: number) => Array.from({ length: count }, (_, i) => `u${i}`);

it('fills calls, adds their jobs and waits for room', async () => {
  await refused(users(250));
  let waits = 0;
  const report = await redriveAll(
    {
      sleep: async (ms) => {
        if (ms === 0) return;
        waits++;
        for (const callId of await redis.zrange(keys.open, '0', '-1')) {
          code = 0;
          await driver().run(callId);
        }
      },
    },
    { maxOpenCalls: 1 },
  );
  expect(report).toMatchObject({ letters: 250, users: 250, calls: 3, left: {}, givenUp: null });
  expect(waits).toBe(2);
  expect(added.length).toBe(3);
});

it('asks again for a user that is in a call, and reports the user as busy in the end', async () => {
  await refused(['ann', 'bob']);
  await redis.xadd(keys.stream, '*', 'userId', 'ann');
  await driver().cut();
  const waits: number[] = [];
  const report = await redriveAll({ sleep: async (ms) => void (ms > 0 && waits.push(ms)) });
  expect(report).toMatchObject({ users: 1, left: { busy: 1 } });
  expect(waits).toEqual([1_000, 1_000, 1_000, 1_000, 1_000]);

  await settleAll(0);
  await refused(['cyd']);
  await redis.xadd(keys.stream, '*', 'userId', 'cyd');
  await driver().cut();
  // The user's call fails meanwhile: then both letters are redriven.
  const later = await redriveAll({ sleep: async (ms) => (ms > 0 ? settleAll(70402) : undefined) });
  expect(later).toMatchObject({ letters: 2, users: 1, left: {} });
});

it('keeps to a rate', async () => {
  await refused(users(30));
  let waitedMs = 0;
  const report = await redriveAll({
    usersPerSecond: 10,
    sleep: async (ms) => {
      waitedMs = Math.max(waitedMs, ms);
    },
  });
  expect(report.users).toBe(30);
  // After 20 users the third ten may go at 2 s. This test's clock has hardly moved.
  expect(waitedMs).toBeGreaterThan(1_000);
});

it('counts a user with several letters once in a dry run', async () => {
  for (let round = 0; round < 3; round++) await refused(users(120));
  expect(await redriveAll({}, { dryRun: true })).toMatchObject({ letters: 360, users: 120, calls: 0 });
  expect(added).toEqual([]);
  expect(await redriveAll({ maxFailedShare: 1 })).toMatchObject({ letters: 360, users: 120 });
}, 30_000);

/** Workers that end each open call with this code whenever the redrive waits. */
const workersAnswer = (errorCode: number) => async (ms: number) => {
  if (ms > 0) await settleAll(errorCode);
};

it('stops after the first 100 users when they are dead again, and goes on when they are imported', async () => {
  await refused(users(450));
  const stopped = await redriveAll({ sleep: workersAnswer(70402) });
  expect(stopped).toMatchObject({ users: 100, failed: 100, imported: 0, givenUp: 'failures' });
  const unbound = await redriveAll({ sleep: workersAnswer(70402), maxFailedShare: 1 });
  expect(unbound).toMatchObject({ users: 450, givenUp: null });
  await settleAll(70402);
  const mended = await redriveAll({ sleep: workersAnswer(0) });
  expect(mended).toMatchObject({ users: 450, failed: 0, givenUp: null });
  expect(mended.imported).toBeGreaterThanOrEqual(100);
}, 60_000);

it('does not wait for the first 100 users while calls are stopped, nor for ever', async () => {
  await refused(users(250));
  await redis.hset(keys.hold, 'paused', '1');
  expect(await redriveAll()).toMatchObject({ users: 100, givenUp: 'paused' });
}, 60_000);

it('stops between two calls when Redis is nearly full, and when it is interrupted', async () => {
  await refused(users(250));
  expect(await redriveAll({ hasRoom: async () => false })).toMatchObject({ users: 0, givenUp: 'memory' });
  const interrupt = new AbortController();
  const report = await redriveAll({
    signal: interrupt.signal,
    onProgress: () => interrupt.abort(),
  });
  expect(report).toMatchObject({ users: 100, givenUp: 'interrupted' });
}, 60_000);

it('skips the users that failed in an earlier run when it is resumed', async () => {
  await refused(users(150));
  const asOfMs = await newestDeathMs({ redis, keys });
  const interrupt = new AbortController();
  await redriveAll({ signal: interrupt.signal, onProgress: () => interrupt.abort() });
  await settleAll(70402);
  expect(await redis.zcard(keys.deadByTime)).toBe(150);
  const rest = await redriveAll({}, {}, listDeadLetters({ redis, keys }, { state: 'dead', asOfMs }));
  expect(rest).toMatchObject({ letters: 50, users: 50, givenUp: null });
}, 60_000);

it('takes a list of event IDs, user IDs and letters, and applies a filter to it', async () => {
  await refused(['ann', 'ann', 'bob', 'cyd', 'dan']);
  const eventIdOf = async (userId: string): Promise<string> => {
    const [member = ''] = await redis.zrange(keys.deadByUser, `[${userId} `, `(${userId}!`, 'BYLEX');
    return member.slice(userId.length + 1);
  };
  const [first, bob] = [await eventIdOf('ann'), await eventIdOf('bob')];
  const asOfMs = await newestDeathMs({ redis, keys });
  const lines = ['\uFEFFann', '', first, `{"eventId":"${bob}","x":1}`, ' cyd ', 'nobody', '1-1', '{'];
  const named = (more: object) =>
    namedLetters({ redis, keys }, Readable.from(lines), { state: 'dead', asOfMs, ...more });
  expect(await redriveAll({}, { dryRun: true }, named({ errorCode: 1 }))).toMatchObject({
    users: 0,
    left: { unnamed: 7 },
  });
  expect(await redriveAll({}, {}, named({}))).toMatchObject({ letters: 4, users: 3, left: { unnamed: 3 } });
}, 60_000);
