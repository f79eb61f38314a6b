import { LANDING_MS } from '../../src/delivery/policy/backoff.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import type { Answer } from '../../src/im/answers.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(1400000000);
let server: TestRedis;
let redis: RedisClient;
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

const gateway: Answer = { kind: 'http', httpStatus: 504, errorInfo: 'HTTP 504' };

test('a call of unknown outcome is sent again during a hold only when the first one can no longer land', async () => {
  const sentAtMs: number[] = [];
  const { cut, run } = createCallDriver(
    redis,
    keys,
    async () => {
      sentAtMs.push(performance.now());
      return sentAtMs.length === 1 ? gateway : apiAnswer(0);
    },
    'held',
  );
  await redis.xadd(keys.stream, '*', 'userId', 'ann', 'nick', 'old');
  const [call] = await cut();
  await run(call?.callId ?? '');
  const [first = 0, second = 0] = sentAtMs;
  // Not an expectation of speed: sooner would be wrong.
  expect(second - first).toBeGreaterThanOrEqual(LANDING_MS - 10);
  expect(await redis.hget(keys.books, 'imported')).toBe('1');
});

test('a call that grew too old lets its users go only when it can no longer land', async () => {
  let sentAtMs = 0;
  const { cut, run } = createCallDriver(redis, keys, async () => {
    sentAtMs = performance.now();
    return gateway;
  });
  await redis.xadd(keys.stream, '*', 'userId', 'ann', 'nick', 'old');
  const [call] = await cut();
  await run(call?.callId ?? '', -1);
  expect(performance.now() - sentAtMs).toBeGreaterThanOrEqual(LANDING_MS - 10);
  expect(await redis.hget(keys.books, 'dead')).toBe('1');
  expect(await redis.hexists(keys.owners, 'ann')).toBe(0);
});

test('a call that was sent in the future is waited for as long as any, not until then', async () => {
  const { cut, run } = createCallDriver(redis, keys, async () => apiAnswer(0));
  await redis.xadd(keys.stream, '*', 'userId', 'ann', 'nick', 'old');
  const [call] = await cut();
  // Redis's clock was set back by an hour after it was sent.
  await redis.hset(`${keys.callPrefix}${call?.callId}`, 'sentAt', String(Date.now() + 3_600_000));
  const startedMs = performance.now();
  await run(call?.callId ?? '');
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(LANDING_MS - 10);
  expect(await redis.hget(keys.books, 'imported')).toBe('1');
});

test('a call that can no longer land and has no answer begins the row of an outage; its success ends it', async () => {
  const troubleSince = (): Promise<string | null> => redis.hget(keys.hold, 'troubleSince');
  const silence = async (): Promise<Answer> => {
    await eventually('the silence is noticed', troubleSince);
    return apiAnswer(0);
  };
  const { cut, run } = createCallDriver(redis, keys, silence, createHoldState(redis, keys));
  await redis.xadd(keys.stream, '*', 'userId', 'ann');
  const [call] = await cut();
  await run(call?.callId ?? '');
  expect(await redis.hget(keys.books, 'imported')).toBe('1');
  expect(await troubleSince()).toBeNull();
}, 60_000);
