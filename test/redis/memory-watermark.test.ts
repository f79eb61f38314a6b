import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { createMemoryWatermark } from '../../src/redis/memory-watermark.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { useStages } from './stage.ts';

const fresh = useStages();

/** How often Redis was asked for its INFO by anybody but this. */
async function infos(redis: ReturnType<typeof fresh>['redis']): Promise<number> {
  const text = await redis.info('commandstats');
  return Number(/^cmdstat_info:calls=(\d+)/m.exec(text)?.[1] ?? 0);
}

test('Redis is asked at most once per second', async () => {
  const { redis, keys } = fresh();
  const mark = createMemoryWatermark(redis, keys);
  await redis.call('CONFIG', 'RESETSTAT');
  const looks = await Promise.all(Array.from({ length: 50 }, () => mark.look()));
  for (let i = 0; i < 5; i++) looks.push(await mark.look());
  expect(new Set(looks.map(({ level }) => level))).toEqual(new Set(['ample']));
  expect(await infos(redis)).toBe(1);
  await redis.config('SET', 'maxmemory', '1');
  try {
    await eventually('it looks again', async () => (await mark.look()).level === 'full');
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
  await eventually('and again', async () => (await mark.look()).level === 'ample');
});

test('a level ends only below its mark: the last reading counts', async () => {
  const { redis, keys } = fresh();
  const mark = createMemoryWatermark(redis, keys);
  const usedBytes = async (): Promise<number> =>
    Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  const fill = async (share: number) =>
    redis.config('SET', 'maxmemory', String(Math.round((await usedBytes()) / share)));
  try {
    await fill(0.87);
    await eventually('high', async () => (await mark.look()).level === 'high');
    // Under the mark of 85 %, and above that of coming back.
    await fill(0.84);
    await eventually('seen anew', async () => ((await mark.look()).usedRatio ?? 1) < 0.845);
    expect((await mark.look()).level).toBe('high');
    expect((await createMemoryWatermark(redis, keys).look()).level).toBe('ample');
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
});

describe('a Redis that went away', () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('is an error, and it is asked again when it is back', async () => {
    const { keys } = fresh();
    const redis = openRedis(server.settings, 'oneshot', 'test', () => undefined);
    await eventually('connected', () => redis.status === 'ready');
    const mark = createMemoryWatermark(redis, keys);
    await server.kill();
    await eventually('an error', async () => {
      const seen = await mark.look().catch(() => 'refused');
      return seen === 'refused';
    });
    await server.restart();
    await eventually('an answer', async () => (await mark.look()).level === 'ample');
    await closeRedis(redis);
  });
});
