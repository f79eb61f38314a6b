import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { appendEvents, FencedError, raiseEpoch, readRelay } from '../../src/relay/relay-store.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let server: TestRedis;
let redis: RedisClient;
const keys = keysOf(1);
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

const add = (epoch: number, ...nicks: string[]) =>
  appendEvents(
    { redis, keys },
    {
      ...{
        relay: `r${epoch}`,
        server: 'PostgreSQL 15',
        waiting: 0,
        oldestAgeMs: 0,
        epoch,
        mark: ['table:t', nicks[0] ?? ''],
      },
      events: nicks.map((nick) => ['userId', 'a', 'nick', nick]),
    },
  );
const nicks = async () => (await redis.xrange(keys.stream, '-', '+')).map(([, fields]) => fields[3]);

test('an earlier relay adds nothing once a later one has begun', async () => {
  const first = await raiseEpoch({ redis, keys });
  expect(await add(first, 'old', 'older')).toBe(2);
  const second = await raiseEpoch({ redis, keys });
  await expect(add(first, 'too late')).rejects.toBeInstanceOf(FencedError);
  expect(await add(second, 'new')).toBe(3);
  await expect(add(first)).rejects.toBeInstanceOf(FencedError);
  expect(await nicks()).toEqual(['old', 'older', 'new']);
  expect(await redis.hget(keys.relay, 'table:t')).toBe('new');
  expect(await readRelay({ redis, keys })).toMatchObject({ relay: `r${second}`, server: 'PostgreSQL 15' });
});

test('an epoch that Redis has lost is written again by the relay that works', async () => {
  const epoch = await raiseEpoch({ redis, keys });
  await redis.del(keys.relay);
  await add(epoch, 'after a failover');
  await expect(add(epoch - 1, 'too late')).rejects.toBeInstanceOf(FencedError);
});

test('a relay that stood still while Redis was replaced by an empty one adds nothing to the new one', async () => {
  const old = await raiseEpoch({ redis, keys });
  await redis.flushall();
  const epoch = await raiseEpoch({ redis, keys });
  await add(epoch, 'new');
  await expect(add(old, 'held meanwhile')).rejects.toBeInstanceOf(FencedError);
  expect(await nicks()).toEqual(['new']);
});

test('a full Redis takes none of the events, and the sign of life passes', async () => {
  const epoch = await raiseEpoch({ redis, keys });
  const before = await nicks();
  await redis.config('SET', 'maxmemory', '1mb');
  await expect(add(epoch, 'one', 'two')).rejects.toThrow('OOM');
  expect(await nicks()).toEqual(before);
  await expect(add(epoch)).resolves.toBe(before.length);
  await redis.config('SET', 'maxmemory', '0');
});
