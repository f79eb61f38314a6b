import { listSuspects } from '../../src/ledger/open-calls.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { audit } from '../support/audit.ts';
import { apiAnswer, createCallDriver, type SentAccount } from '../support/call-driver.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let redis: RedisClient;
let keys: Keys;
let app = 1_400_000_900;

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

/** An API that fails in a way that may pass for whoever has this nick, while it takes everybody else. */
function scene() {
  const imported = new Map<string, string | undefined>();
  const sent: string[][] = [];
  const api = async (_command: string, accounts: readonly SentAccount[]) => {
    sent.push(accounts.map(({ UserID }) => UserID));
    if (accounts.some(({ Nick }) => Nick === 'bad')) return apiAnswer(70500);
    for (const { UserID, Nick } of accounts) imported.set(UserID, Nick);
    return apiAnswer(0);
  };
  const driver = createCallDriver(redis, keys, api, 'others-pass');
  const push = (userId: string, nick: string) => redis.xadd(keys.stream, '*', 'userId', userId, 'nick', nick);
  const openCalls = () => redis.zrange(keys.open, '0', '-1');
  /** One run of every call that is due. */
  const round = async (): Promise<void> => {
    await driver.cut();
    for (const callId of await openCalls()) await driver.run(callId);
  };
  const untilIsolated = () =>
    eventually('somebody is suspected', async () => {
      await round();
      return (await redis.zcard(keys.isolated)) > 0;
    });
  return { imported, sent, push, round, untilIsolated, openCalls };
}

const problems = async () => (await audit(redis, keys)).problems;

test('a suspect stays in its call alone, is listed, and counts for nothing in the back-pressure', async () => {
  const { imported, push, untilIsolated } = scene();
  await push('ann', 'bad');
  await push('bob', 'Bob');
  await untilIsolated();
  expect([...imported]).toEqual([['bob', 'Bob']]);
  expect(await listSuspects({ redis, keys }, 10)).toMatchObject([
    { userId: 'ann', errorCode: 70500, httpStatus: 200, hasAccount: false },
  ]);
  expect(await readTotals(redis, keys)).toMatchObject({
    imported: 1,
    suspectedCalls: 1,
    oldestUnfinishedMs: expect.any(Number),
  });
  expect(await problems()).toEqual([]);
});

test('a newer event of a suspect does not wait behind the one that fails: it joins the call and goes first', async () => {
  const { imported, push, round, untilIsolated, openCalls } = scene();
  await push('ann', 'bad');
  await push('bob', 'Bob');
  await untilIsolated();
  await push('ann', 'Ann');
  await eventually('the newer one is imported', async () => {
    await round();
    expect(await problems()).toEqual([]);
    return imported.get('ann') === 'Ann';
  });
  const books = await readTotals(redis, keys);
  expect(books).toMatchObject({ imported: 2, superseded: 1, parked: 0, deadLettered: 0, suspectedCalls: 0 });
  expect(await openCalls()).toEqual([]);
  expect(await redis.hlen(keys.owners)).toBe(0);
  expect(await redis.exists(`${keys.parkedPrefix}ann`)).toBe(0);
});

test('the account of a suspect is made without the profile after three failures, and the profile is tried on', async () => {
  const { imported, sent, push, round, untilIsolated } = scene();
  await push('ann', 'bad');
  await untilIsolated();
  await eventually('the account is there', async () => {
    await round();
    return imported.has('ann');
  });
  expect(imported.get('ann')).toBeUndefined();
  const before = sent.length;
  await eventually('the profile is tried on', async () => {
    await round();
    return sent.length > before + 3;
  });
  expect(await listSuspects({ redis, keys }, 10)).toMatchObject([{ userId: 'ann', hasAccount: true }]);
  expect(await readTotals(redis, keys)).toMatchObject({ imported: 0, deadLettered: 0 });
});
