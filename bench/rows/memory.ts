import { Redis } from 'ioredis';
import { keysOf } from '../../src/redis/keys.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import type { Bench } from '../stage/bench.ts';
import { type Crowd, fill, valueBytes } from '../stage/crowd.ts';
import { openEventPeer } from '../stage/event-peer.ts';
import { createFigures } from '../stage/figures.ts';
import { JOB_PER_EVENT } from './drain.ts';

/** What Redis needs for an event that waits, beside the values themselves. The same at every run. */
export const memory: Bench = {
  name: 'memory',
  about: 'Redis memory of waiting events, beyond the bytes of their values',
  runs: 1,
  async run({ quick }) {
    const figures = createFigures();
    const waiting: Crowd = { prefix: 'user-', count: quick ? 20_000 : 100_000 };
    const values = valueBytes(waiting) / waiting.count;
    const server = await startRedis();
    const redis = new Redis({ port: server.port, host: '127.0.0.1', maxRetriesPerRequest: null });
    try {
      const before = await usedBytes(redis);
      const { stream } = keysOf(TEST_APP.sdkAppId);
      await fill(redis, stream, waiting);
      const bytes = Number(await redis.memory('USAGE', stream, 'SAMPLES', 0)) / waiting.count;
      figures.add({ what: 'bytes of values, an event', unit: 'bytes' }, values);
      figures.add(
        { what: 'beyond the values, an event', unit: 'bytes', target: { atMost: 25 } },
        bytes - values,
      );
      const grown = ((await usedBytes(redis)) - before) / waiting.count;
      figures.add({ what: 'the same by used_memory', unit: 'bytes' }, grown - values);
    } finally {
      await redis.quit();
      await server.stop();
    }
    const peer = await openEventPeer(0, 1);
    try {
      const before = await usedBytes(peer.redis);
      await peer.add(waiting);
      const grown = ((await usedBytes(peer.redis)) - before) / waiting.count;
      figures.add({ what: 'the same by used_memory', who: JOB_PER_EVENT, unit: 'bytes' }, grown - values);
    } finally {
      await peer.close();
    }
    return { rows: figures.rows(), problems: [] };
  },
};

async function usedBytes(redis: Redis): Promise<number> {
  const info = await redis.info('memory');
  const clients = Number(/^mem_clients_normal:(\d+)/m.exec(info)?.[1] ?? 0);
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0) - clients;
}
