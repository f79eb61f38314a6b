import { BatchSize } from '../../src/intake/batch-size.ts';
import { type CutLimits, cutCalls } from '../../src/intake/cut.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let redis: RedisClient;
let keys: Keys;
let app = 1_400_000_600;

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
beforeEach(() => {
  keys = keysOf(app++);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

const fail = (error: Error): never => {
  throw error;
};
const size = async (): Promise<number> => Number((await redis.hget(keys.culprits, 'size')) ?? 100);

it('learns the share over all processes, shrinks the batches, and goes back as the innocent pass', async () => {
  const one = new BatchSize(redis, keys, fail);
  const two = new BatchSize(redis, keys, fail);
  for (let i = 0; i < 40; i++) (i % 2 === 0 ? one : two).saw(95, 5);
  await eventually('the share is known', async () => (await size()) <= 25);
  expect(await size()).toBeGreaterThanOrEqual(15);
  // A process that comes later knows what the others learned: it tells of the innocent, too.
  const late = new BatchSize(redis, keys, fail);
  await eventually('it is forgotten', async () => {
    late.saw(5_000, 0);
    return (await redis.exists(keys.culprits)) === 0;
  });
  expect(await size()).toBe(100);
});

it('is bounded: however many culprits, the share is one and a batch has ten users', async () => {
  const watch = new BatchSize(redis, keys, fail);
  for (let i = 0; i < 50; i++) watch.saw(0, 1_000);
  await eventually('all are culprits', async () => (await size()) === 10);
  const { users, found } = await redis.hgetall(keys.culprits);
  expect(Number(found)).toBeLessThanOrEqual(Number(users));
  expect(Number(await redis.hget(keys.culprits, 'users'))).toBeLessThanOrEqual(5_000);
  expect(await redis.ttl(keys.culprits)).toBeGreaterThan(500);
});

it('halves the body that was refused, for ten minutes; one that is suspected for one', async () => {
  const batchSize = new BatchSize(redis, keys, fail);
  const limit = async () => Number(await redis.get(keys.bodyLimit));
  batchSize.tooLarge(90_001, false);
  await eventually('it is noted', async () => (await limit()) === 45_000);
  expect(await redis.pttl(keys.bodyLimit)).toBeLessThanOrEqual(60_000);
  batchSize.tooLarge(1_500, true);
  await eventually('it is noted', async () => (await limit()) === 1_024);
  expect(await redis.pttl(keys.bodyLimit)).toBeGreaterThan(590_000);
});

const limits: CutLimits = {
  batchCommand: 'multiaccount_import',
  singleCommand: 'account_import',
  maxUsers: 100,
  maxWaitMs: 0,
  eagerCalls: 0,
  eagerGapMs: 0,
  maxOpenCalls: 5,
  alone: 'nobody',
};

async function push(count: number, ...more: string[]): Promise<void> {
  for (let i = 0; i < count; i++) await redis.xadd(keys.stream, '*', 'userId', `u${i}`, ...more);
}

it('cut obeys the size, never above the configured one', async () => {
  await push(60);
  await redis.hset(keys.culprits, 'size', '12');
  const cut = await cutCalls({ redis, keys }, limits);
  expect(cut).toMatchObject({ kind: 'cut', calls: [{ users: 12 }] });
  await redis.hset(keys.culprits, 'size', '100');
  expect(await cutCalls({ redis, keys }, { ...limits, maxUsers: 30 })).toMatchObject({
    calls: [{ users: 30 }],
  });
});

it('calls that go alone are cut singly, and no more of them than may stand open', async () => {
  await push(20, 'nick', 'N');
  const alone = await cutCalls({ redis, keys }, { ...limits, alone: 'profile-or-robot' });
  expect(alone).toMatchObject({ kind: 'cut', waiting: 15 });
  if (alone.kind !== 'cut') throw new Error('nothing was cut');
  expect(alone.calls.map(({ command, users }) => `${command} ${users}`)).toEqual(
    Array.from({ length: 5 }, () => 'account_import 1'),
  );
  expect(await cutCalls({ redis, keys }, { ...limits, alone: 'profile-or-robot' })).toMatchObject({
    kind: 'blocked',
    by: 'open-calls',
  });
});

it('an empty profile is none, and of a repeated field the last counts', async () => {
  await redis.xadd(keys.stream, '*', 'userId', 'a', 'nick', '', 'type', '0');
  await redis.xadd(keys.stream, '*', 'userId', 'b', 'nick', 'B', 'nick', '');
  await redis.xadd(keys.stream, '*', 'userId', 'c', 'type', '1', 'type', '0');
  const cut = await cutCalls({ redis, keys }, { ...limits, alone: 'profile-or-robot' });
  expect(cut).toMatchObject({ calls: [{ command: 'multiaccount_import', users: 3 }] });
});
