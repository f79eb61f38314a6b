import { Redis } from 'ioredis';
import { eventually } from '../../test/support/eventually.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { startSimulate } from '../../test/support/simulate.ts';
import { apiUser, batchUrl } from '../stage/api-user.ts';
import { type CrowdUser, wrongAccounts } from '../stage/crowd.ts';
import { startPeer } from '../stage/peer.ts';
import { produceSteadily } from '../stage/steady-load.ts';
import { waitsAt } from '../stage/waits-at.ts';
import { API_LATENCY } from './quota.ts';

/** One that does nothing else: see bench/peers/stream-batcher.ts. */
export const BATCHER = 'the parts alone: a batcher of its own';

/**
 * Waits from the acknowledgement to the arrival, ms, at each rate; or what went wrong. One process has the whole quota to itself.
 */
export async function measureBatcher(
  rates: readonly number[],
  forMs: number,
): Promise<Map<number, { readonly waitsMs: readonly number[]; readonly wrong: readonly string[] }>> {
  const server = await startRedis();
  const simulator = await startSimulate(API_LATENCY);
  const redis = new Redis({ port: server.port, host: '127.0.0.1', maxRetriesPerRequest: null });
  const task = { redisPort: server.port, callUrl: batchUrl(simulator.url), concurrency: 0, calls: [] };
  const batcher = await startPeer('stream-batcher', task);
  const send = async (users: readonly CrowdUser[]): Promise<void> => {
    const pipeline = redis.pipeline();
    for (const user of users) pipeline.xadd('events', '*', 'user', JSON.stringify(apiUser(user)));
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  };
  const measured = new Map<number, { waitsMs: readonly number[]; wrong: readonly string[] }>();
  try {
    await simulator.setFaults({ workAt: 'at-arrival' });
    batcher.begin();
    // The first ones warm it up.
    for (const [i, perSecond] of [2_000, ...rates].entries()) {
      await simulator.reset();
      const prefix = `batcher${i}-`;
      const acknowledged = await produceSteadily(send, prefix, perSecond, forMs);
      const accounts = await eventually('the batcher has sent all', async () => {
        const now = await simulator.accounts();
        return now.size >= acknowledged.size ? now : null;
      });
      if (i === 0) continue;
      const wrong = wrongAccounts([{ prefix, count: acknowledged.size }], accounts);
      const waitsMs = wrong.length > 0 ? [] : await waitsAt(simulator, acknowledged, accounts);
      measured.set(perSecond, { waitsMs, wrong });
    }
    return measured;
  } finally {
    await batcher.stop();
    redis.disconnect();
    simulator.process.signal('SIGTERM');
    await simulator.process.ended;
    await server.stop();
  }
}
