import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { startRedis, type TestRedis } from '../../test/support/redis-server.ts';
import { type SimulateProcess, startSimulate } from '../../test/support/simulate.ts';
import { batchUrl } from './api-user.ts';
import { type Crowd, usersOf } from './crowd.ts';
import { type Peer, startPeer } from './peer.ts';
import { LIFTED_SIMULATOR } from './stage.ts';

/** A peer of the hot path, its jobs in BullMQ: one an event, or one for 100 of them. And what it runs on. */
export interface EventPeer {
  readonly server: TestRedis;
  readonly simulator: SimulateProcess;
  readonly queue: Queue;
  readonly redis: Redis;
  readonly workers: readonly Peer[];
  /** Jobs of the users, 1,000 at a time. */
  add(crowd: Crowd): Promise<void>;
  /** Jobs that have not ended. */
  left(): Promise<number>;
  close(): Promise<void>;
}

export type EventPeerKind = 'bullmq-job-per-event' | 'bullmq-job-per-call';

export async function openEventPeer(
  workers: number,
  concurrency: number,
  kind: EventPeerKind = 'bullmq-job-per-event',
): Promise<EventPeer> {
  const server = await startRedis();
  const simulator = await startSimulate(LIFTED_SIMULATOR);
  const queue = new Queue('event-peer', {
    connection: { port: server.port, host: '127.0.0.1' },
    defaultJobOptions: { removeOnComplete: true },
  });
  const redis = new Redis({ port: server.port, host: '127.0.0.1', maxRetriesPerRequest: null });
  const task = { redisPort: server.port, callUrl: batchUrl(simulator.url), concurrency, calls: [] };
  const running: Peer[] = [];
  const peer: EventPeer = {
    server,
    simulator,
    queue,
    redis,
    workers: running,
    async add(crowd) {
      const users = usersOf(crowd);
      const jobs =
        kind === 'bullmq-job-per-event'
          ? users.map((data) => ({ name: 'user', data: data as unknown }))
          : Array.from({ length: Math.ceil(users.length / 100) }, (_, i) => ({
              name: 'users',
              data: users.slice(100 * i, 100 * (i + 1)) as unknown,
            }));
      for (let from = 0; from < jobs.length; from += 1_000)
        await queue.addBulk(jobs.slice(from, from + 1_000));
    },
    left: () => queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized', 'failed'),
    async close() {
      await Promise.all(running.map((worker) => worker.stop()));
      await queue.close();
      await redis.quit();
      simulator.process.signal('SIGTERM');
      await simulator.process.ended;
      await server.stop();
    },
  };
  try {
    for (let i = 0; i < workers; i++) running.push(await startPeer(kind, task));
    return peer;
  } catch (error) {
    await peer.close();
    throw error;
  }
}
