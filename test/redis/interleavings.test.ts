import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { playInterleavings } from '../chaos/interleavings.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** A short form of `npm run chaos -- order-model`, which plays a thousand. */
let server: TestRedis;
let redis: RedisClient;

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
}, 60_000);
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
}, 60_000);

test.each([
  ['current', 100],
  ['legacy', 50],
] as const)(
  '%s: whatever overtakes, dies, is refused or redriven, no profile goes back and nothing is lost',
  async (form, runs) => {
    await playInterleavings(redis, keysOf(1400000000), { runs, seed: 1400000000, form });
  },
  180_000,
);
