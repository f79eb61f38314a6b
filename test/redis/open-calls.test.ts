import { maskCall } from '../../src/console/mask.ts';
import { listOpenCalls } from '../../src/ledger/open-calls.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let redis: RedisClient;
const keys = keysOf(7);

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  await whenReady(redis, 10_000);
}, 30_000);
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

const attempt = { at: 5, command: 'account_import', errorCode: 70500, httpStatus: 200, userId: 'alice77' };
const suspicion = {
  since: 4,
  failures: 3,
  errorCode: 403,
  httpStatus: 403,
  errorInfo: 'no alice77',
  hasAccount: false,
};

test('open calls stand in the order of their oldest events, and in pages; ended ones are left out', async () => {
  const fields = { v: '1', command: 'multiaccount_import', cutAt: '3', users: '2', events: '4', tries: '1' };
  for (const [i, more] of [
    { sentAt: String(Date.now()) },
    { dueAt: String(Date.now() + 60_000), class: 'redrive', attempts: JSON.stringify([attempt]) },
    { suspects: JSON.stringify({ alice77: suspicion }) },
  ].entries()) {
    await redis.hset(`${keys.callPrefix}c${i}`, { ...fields, ...more });
    await redis.zadd(keys.openSince, 100 - i, `c${i}`);
  }
  await redis.zadd(keys.openSince, 1, 'ended');
  const { total, calls, nowMs } = await listOpenCalls({ redis, keys }, 0, 10);
  expect(total).toBe(4);
  expect(Math.abs(nowMs - Date.now())).toBeLessThan(60_000);
  expect(calls.map(({ callId, state, oldestEventAt }) => [callId, state, oldestEventAt])).toEqual([
    ['c2', 'waiting', 98],
    ['c1', 'later', 99],
    ['c0', 'on-the-wire', 100],
  ]);
  expect(calls[1]).toMatchObject({ redrive: true, users: 2, events: 4, tries: 1, cutAt: 3, sentAt: null });
  expect((await listOpenCalls({ redis, keys }, 2, 1)).calls.map(({ callId }) => callId)).toEqual(['c1']);
});

test('no call names the user of its last attempt, and a masked one none at all', async () => {
  const { calls } = await listOpenCalls({ redis, keys }, 0, 10);
  const { userId: _userId, ...shown } = attempt;
  expect(calls.map(({ lastAttempt }) => lastAttempt)).toEqual([null, shown, null]);
  expect(calls[0]?.suspects).toEqual([{ userId: 'alice77', ...suspicion }]);
  expect(JSON.stringify(calls.map(maskCall))).not.toContain('alice');
});
