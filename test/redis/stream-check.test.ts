import { examineStream } from '../../src/doctor/stream-findings.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { findStrayStreams, streamFault } from '../../src/producer/stream-check.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** Events that no worker will ever see, and a stream that takes none. */

const APP = 1_400_000_000;
const keys = keysOf(APP);
const LAST_ID = '18446744073709551615-18446744073709551615';
let server: TestRedis;
let redis: RedisClient;
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'oneshot', 'test', () => undefined);
  await whenReady(redis, 5_000);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});
beforeEach(() => redis.flushall());

const stray = async () => {
  const { streams, isWhole } = await findStrayStreams({ redis, keys });
  expect(isWhole).toBe(true);
  return streams.sort((a, b) => (a.name < b.name ? -1 : 1));
};

test('finds streams whose names a client has changed, among many keys, and no others', async () => {
  const filler = Array.from({ length: 3_000 }, (_, i) => [`key:${i}`, '1']).flat();
  await redis.mset(...filler);
  const names = [
    `"${keys.stream}"`,
    `imsync:${APP}:user-created`,
    `laravel_database_${keys.stream}`,
    `\uFFFDt${keys.stream}`,
  ];
  for (const name of names) await redis.xadd(name, '*', 'userId', 'u1');
  await redis.xadd(keys.stream, '*', 'userId', 'u1');
  await redis.xadd(keysOf(APP * 10 + 1).stream, '*', 'userId', 'u1');
  await redis.rpush(`other:${keys.stream}`, 'a list');
  expect(await stray()).toEqual(names.map((name) => ({ name, events: 1 })));
  const [, name] = await examineStream({ redis, keys });
  expect(name).toMatchObject({ name: 'stream.name', state: 'wrong' });
  expect(name?.text).toContain(JSON.stringify(`laravel_database_${keys.stream}`));
});

test('a stream that takes events, and one that is not there yet, are in order', async () => {
  expect(await streamFault({ redis, keys })).toBeUndefined();
  await redis.xadd(keys.stream, '*', 'userId', 'u1');
  expect(await streamFault({ redis, keys })).toBeUndefined();
  expect((await examineStream({ redis, keys })).map(({ state }) => state)).toEqual(['ok', 'ok']);
});

test.each([
  ['another type', () => redis.set(keys.stream, '1'), /is no stream/, /RENAME/],
  [
    'its last ID used up',
    () => redis.xadd(keys.stream, LAST_ID, 'userId', 'u1'),
    /used up its last ID/,
    /DEL/,
  ],
] as const)('%s is told by doctor and producer alike', async (_, spoil, text, todo) => {
  await spoil();
  const fault = await streamFault({ redis, keys });
  expect(fault).toEqual({ text: expect.stringMatching(text), todo: expect.stringMatching(todo) });
  const [finding] = await examineStream({ redis, keys });
  expect(finding).toMatchObject({ name: 'stream', state: 'wrong', text: fault?.text, todo: fault?.todo });
  const producer = new UserCreatedProducer({ sdkAppId: APP, redis: server.settings });
  await expect(producer.add({ userId: 'u1' })).rejects.toThrow(fault?.text);
  await producer.close();
});

test('an ID of the future is told', async () => {
  await redis.xadd(keys.stream, `${Date.now() + 10 * 86_400_000}-0`, 'userId', 'u1');
  expect((await streamFault({ redis, keys }))?.text).toMatch(/10 days ahead/);
});

test('what the ACL forbids is told as not checked', async () => {
  await redis.call(
    'ACL',
    'SETUSER',
    'bound',
    'on',
    '>pw',
    `~${keys.server}`,
    '~{imsync*',
    '+@all',
    '-scan',
    '-xinfo',
  );
  const url = server.url.replace('redis://', 'redis://bound:pw@');
  const bound = openRedis({ ...server.settings, url }, 'oneshot', 'test', () => undefined);
  await whenReady(bound, 5_000);
  const [stream, name] = await examineStream({ redis: bound, keys });
  expect(stream).toMatchObject({ state: 'skipped', text: expect.stringMatching(/not checked.*\+xinfo/) });
  expect(name).toMatchObject({ state: 'skipped', text: expect.stringMatching(/not checked.*\+scan/) });
  // Its type can be told all the same.
  await redis.set(keys.stream, '1');
  expect((await examineStream({ redis: bound, keys }))[0]).toMatchObject({ state: 'wrong' });
  await closeRedis(bound);
});

test('on a cluster the node is asked that holds the stream', async () => {
  const cluster = await startCluster(false);
  const client = openRedis(cluster.settings, 'loop', 'test', () => undefined);
  try {
    await whenReady(client, 30_000);
    for (const app of [APP, APP + 1, APP + 2]) {
      const own = keysOf(app);
      await client.xadd(`laravel_${own.stream}`, '*', 'userId', 'u1');
      const { streams } = await findStrayStreams({ redis: client, keys: own });
      expect(streams).toEqual([{ name: `laravel_${own.stream}`, events: 1 }]);
      expect(await streamFault({ redis: client, keys: own })).toBeUndefined();
    }
  } finally {
    await closeRedis(client);
    await cluster.stop();
  }
}, 60_000);
