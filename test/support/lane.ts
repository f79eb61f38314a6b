import type { SimulatorOptions } from '../../simulator/options.ts';
import { type Simulator, startSimulator } from '../../simulator/simulator.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { UserInput } from '../../src/event/fields.ts';
import { readLetters } from '../../src/ledger/letters/letter-store.ts';
import { readTotals, type Totals } from '../../src/ledger/totals.ts';
import { createLogger } from '../../src/logging/log.ts';
import { UserCreatedProducer } from '../../src/producer/producer.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { type RunningWorker, startWorker } from '../../src/worker.ts';
import { audit } from './audit.ts';
import { eventually } from './eventually.ts';
import type { TestRedis } from './redis-server.ts';
import { TEST_APP } from './simulator.ts';

/** An app of its own on a shared Redis: a simulator and a worker in this process. */
export interface Lane {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly simulator: Simulator;
  readonly worker: RunningWorker;
  /** Every line the worker logged, debug included. */
  readonly log: readonly string[];
  /** Adds users at once; fails if one is refused. */
  add(users: readonly UserInput[]): Promise<string[]>;
  books(): Promise<Totals>;
  /** Waits until every event has ended, and gives the books. */
  drained(timeoutMs?: number): Promise<Totals>;
  /** What is left behind when all has ended: records, owners, jobs, problems with the books. [] is right. */
  leftovers(): Promise<string[]>;
  /** The letters of a user, newest first. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into letters of every shape
  letters(userId: string): Promise<any[]>;
  stop(): Promise<void>;
}

/** `sdkAppId` tells lanes apart; it must be a lane's own. */
export async function startLane(options: {
  readonly server: TestRedis;
  readonly sdkAppId: number;
  readonly form?: 'current' | 'legacy' | 'hosted';
  readonly simulator?: Partial<SimulatorOptions>;
  readonly env?: Readonly<Record<string, string>>;
  /** Contents of a configuration file. */
  readonly file?: object;
  /** Stand in for the hosts of a region, given the simulator's URL. */
  readonly hosts?: (simulatorUrl: string) => { readonly baseUrl: string; readonly backupUrl: string };
}): Promise<Lane> {
  const { server, sdkAppId, form = 'current' } = options;
  const simulator = await startSimulator({
    ...TEST_APP,
    sdkAppId,
    badAccountsInBatch: 'fail-call',
    ...(form === 'legacy' && { accountImportForm: 'legacy' as const }),
    ...options.simulator,
  });
  const { config } = loadConfig({
    env: {
      IMSYNC_REDIS_URL: server.url,
      IMSYNC_SDK_APP_ID: String(sdkAppId),
      IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
      IMSYNC_BASE_URL: options.hosts === undefined ? simulator.url : '',
      IMSYNC_API: form,
      IMSYNC_OPS_PORT: '0',
      IMSYNC_RETRY_BASE_MS: '1',
      // What is added together goes into one call.
      IMSYNC_BATCH_EAGER_SHARE: '0',
      IMSYNC_BATCH_MAX_WAIT_MS: '30',
      ...options.env,
    },
    ...(options.file !== undefined && { configFile: 'lane.json' }),
    readFile: (path) => {
      if (path === 'lane.json') return JSON.stringify(options.file);
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
  });
  const log: string[] = [];
  const logger = createLogger('debug', {}, { write: (line: string) => log.push(line) });
  const worker = await startWorker({
    config,
    readFile: () => '',
    version: 'test',
    log: logger,
    ...(options.hosts !== undefined && { hosts: options.hosts(simulator.url) }),
  });
  const redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  const keys = keysOf(sdkAppId);
  const producer = new UserCreatedProducer({
    sdkAppId,
    redis: server.settings,
    ...(form === 'hosted' && { api: form }),
  });
  return {
    redis,
    keys,
    simulator,
    worker,
    log,
    async add(users) {
      return (await producer.addMany(users)).map((accepted) => {
        if (!accepted.ok) throw accepted.error;
        return accepted.eventId;
      });
    },
    books: () => readTotals(redis, keys),
    drained: (timeoutMs = 60_000) =>
      eventually(
        'every event has ended',
        async () => {
          const books = await readTotals(redis, keys);
          const ended = books.imported + books.superseded + books.deadLettered === books.accepted;
          return ended && books.waiting + books.parked === 0 ? books : null;
        },
        timeoutMs,
      ),
    async leftovers() {
      const { problems, openCalls } = await audit(redis, keys);
      const owners = await redis.hlen(keys.owners);
      const records = await redis.keys(`${keys.callPrefix}*`);
      return [
        ...problems,
        ...(openCalls > 0 ? [`${openCalls} calls are open`] : []),
        ...(owners > 0 ? [`${owners} users are owned`] : []),
        ...records.map((key) => `record ${key} is left`),
      ];
    },
    async letters(userId) {
      const members = await redis.zrange(keys.deadByUser, `[${userId} `, `(${userId}!`, 'BYLEX');
      const ids = members.map((member) => member.slice(userId.length + 1)).reverse();
      return readLetters({ redis, keys }, ids);
    },
    async stop() {
      await worker.stop();
      await producer.close();
      await closeRedis(redis);
      await simulator.close();
    },
  };
}
