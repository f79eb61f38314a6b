import { listDeadLetters } from '../../src/ledger/letter-store.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { type RedriveOptions, type RedriveReport, redrive } from '../../src/tasks/redrive.ts';
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
function redriveAll(more: Partial<RedriveOptions> = {}, request = {}): Promise<RedriveReport> {
  added.length = 0;
  return redrive(
    {
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
      maxUsers: 100,
      usersPerSecond: undefined,
      onProgress: () => undefined,
      sleep: async () => undefined,
      ...more,
    },
    listDeadLetters(redis, keys),
  );
}

const users = (count: number) => Array.from({ length: count }, (_, i) => `u${i}`);

it('fills calls, adds their jobs, and waits for room', async () => {
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
  expect(report).toEqual({ letters: 250, users: 250, calls: 3, left: {}, givenUp: null });
  expect(waits).toBe(2);
  expect(added.length).toBe(3);
});

it('asks again for a user who is in a call, and says so in the end', async () => {
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
  // Their call refuses them meanwhile: then both letters go.
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
  // After 20 users the third ten may go at 2 s; this test's clock has hardly moved.
  expect(waitedMs).toBeGreaterThan(1_000);
});

it('a dry run counts a user with several letters once', async () => {
  for (let round = 0; round < 3; round++) await refused(users(120));
  expect(await redriveAll({}, { dryRun: true })).toMatchObject({ letters: 360, users: 120, calls: 0 });
  expect(added).toEqual([]);
  expect(await redriveAll()).toMatchObject({ letters: 360, users: 120 });
}, 30_000);
