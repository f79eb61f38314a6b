import type { SimulatorOptions } from '../../simulator/options.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { readTotals, type Totals } from '../../src/ledger/totals.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { eventually } from './eventually.ts';
import { type ImsyncProcess, imsync } from './process.ts';
import { startRedis, type TestRedis } from './redis-server.ts';
import { simulatorForTest, TEST_APP } from './simulator.ts';

/** A Redis, a simulator and worker processes of one test. */
export interface Fleet {
  readonly server: TestRedis;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly simulator: Simulator;
  readonly producer: UserCreatedProducer;
  /** What a verb or another worker needs to belong to this fleet. */
  readonly env: Readonly<Record<string, string>>;
  readonly workers: ImsyncProcess[];
  startWorker(env?: Readonly<Record<string, string>>): Promise<ImsyncProcess>;
  /** Adds users `<prefix>0` … and fails if one is refused. */
  addUsers(count: number, prefix?: string): Promise<void>;
  books(): Promise<Totals>;
  /** Waits until nothing is on the way. */
  drained(timeoutMs?: number): Promise<Totals>;
  stop(): Promise<void>;
}

export async function startFleet(
  options: {
    readonly workers?: number;
    readonly simulator?: Partial<SimulatorOptions>;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Fleet> {
  const server = await startRedis();
  const simulator = await simulatorForTest(options.simulator);
  const keys = keysOf(TEST_APP.sdkAppId);
  const redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: server.settings });
  const env = {
    IMSYNC_REDIS_URL: server.url,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_BASE_URL: simulator.url,
    IMSYNC_OPS_PORT: '0',
    ...options.env,
  };
  const workers: ImsyncProcess[] = [];
  const fleet: Fleet = {
    server,
    redis,
    keys,
    simulator,
    producer,
    env,
    workers,
    async startWorker(more = {}) {
      const worker = imsync(['worker'], { ...env, ...more });
      workers.push(worker);
      await worker.line('worker started');
      return worker;
    },
    async addUsers(count, prefix = 'u') {
      const users = Array.from({ length: count }, (_, i) => ({ userId: `${prefix}${i}`, nick: `N${i}` }));
      for (const accepted of await producer.addMany(users)) if (!accepted.ok) throw accepted.error;
    },
    books: () => readTotals(redis, keys),
    drained: (timeoutMs = 60_000) =>
      eventually(
        'nothing is on the way',
        async () => {
          const books = await readTotals(redis, keys);
          return books.imported + books.superseded + books.deadLettered === books.accepted ? books : null;
        },
        timeoutMs,
      ),
    async stop() {
      for (const worker of workers) worker.signal('SIGKILL');
      await Promise.all(workers.map((worker) => worker.ended));
      await producer.close();
      await closeRedis(redis);
      await simulator.close();
      await server.stop();
    },
  };
  for (let i = 0; i < (options.workers ?? 1); i++) await fleet.startWorker();
  return fleet;
}
