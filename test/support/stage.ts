import type { SimulatorOptions } from '../../simulator/options.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import type { RedisSettings } from '../../src/redis/options.ts';
import { eventually } from './eventually.ts';
import { type ImsyncProcess, imsync, imsyncRun } from './process.ts';
import { startRedis, type TestRedis } from './redis-server.ts';
import { simulatorForTest, TEST_APP } from './simulator.ts';

type Env = Readonly<Record<string, string>>;

/** Everything around the worker for one test: a Redis, the API, and the processes that the test starts. */
export interface Stage {
  readonly redis: TestRedis;
  /** A connection of the test's own. */
  readonly client: RedisClient;
  readonly keys: Keys;
  readonly simulator: Simulator;
  /** What a process of this stage needs to know. */
  readonly env: Env;
  /** A worker that has started. */
  worker(env?: Env): Promise<ImsyncProcess>;
  /** A process that may refuse to start. */
  start(args: readonly string[], env?: Env): ImsyncProcess;
  verb(args: readonly string[], env?: Env): ReturnType<typeof imsyncRun>;
  /** XADDs an event as any Redis client would; resolves to its ID. */
  push(fields: Readonly<Record<string, string>>): Promise<string>;
  /** Ends what is left, in order. */
  end(): Promise<void>;
}

/** Quick retries, so that a test of them takes seconds. No port is fixed. */
export function workerEnv(redisUrl: string, apiUrl: string): Env {
  return {
    IMSYNC_REDIS_URL: redisUrl,
    IMSYNC_BASE_URL: apiUrl,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_OPS_PORT: '0',
    IMSYNC_RETRY_BASE_MS: '50',
    IMSYNC_RETRY_MAX_MS: '400',
  };
}

/** A Redis of another kind than a redis-server: a cluster, or one under sentinels. */
export interface TestStore {
  readonly settings: RedisSettings;
  readonly env: Env;
  stop(): Promise<void>;
}

export async function setStage(options: Partial<SimulatorOptions> = {}): Promise<Stage> {
  const redis = await startRedis();
  return { ...(await setStageOn({ ...redis, env: { IMSYNC_REDIS_URL: redis.url } }, options)), redis };
}

/** The same on a store of the test's own, which ends with the stage. */
export async function setStageOn(
  store: TestStore,
  options: Partial<SimulatorOptions> = {},
): Promise<Omit<Stage, 'redis'>> {
  const simulator = await simulatorForTest(options);
  const client = openRedis(store.settings, 'loop', 'test', () => undefined);
  const keys = keysOf(TEST_APP.sdkAppId);
  const env = { ...workerEnv(store.settings.url, simulator.url), ...store.env };
  const started: ImsyncProcess[] = [];
  const start = (args: readonly string[], extra: Env = {}): ImsyncProcess => {
    const process = imsync(args, { ...env, ...extra });
    started.push(process);
    return process;
  };
  return {
    client,
    keys,
    simulator,
    env,
    start,
    async worker(extra) {
      const worker = start(['worker'], extra);
      await worker.line('worker started');
      return worker;
    },
    verb: (args, extra = {}) => imsyncRun(args, { ...env, ...extra }),
    push: async (fields) => {
      const id = await client.xadd(keys.stream, '*', ...Object.entries(fields).flat());
      return String(id);
    },
    async end() {
      await endAll(started);
      await closeRedis(client);
      await simulator.close();
      await store.stop();
    },
  };
}

/** kill -9 for those that still run. */
export async function endAll(processes: readonly ImsyncProcess[]): Promise<void> {
  for (const process of processes) {
    if (process.child.exitCode === null && process.child.signalCode === null) process.signal('SIGKILL');
  }
  await Promise.all(processes.map(({ ended }) => ended));
}

/** The lines of a log with this `msg`. */
/** Lines whose `msg` begins so. */
export function linesOf(worker: ImsyncProcess, start: string): Record<string, unknown>[] {
  return logOf(worker).filter((line) => String(line.msg).startsWith(start));
}

export function logOf(worker: ImsyncProcess): Record<string, unknown>[] {
  return worker.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Waits until no event is on its way any more. */
export async function drained(stage: Pick<Stage, 'client' | 'keys'>, timeoutMs = 60_000): Promise<void> {
  const { client, keys } = stage;
  await eventually(
    'every event has ended',
    async () => {
      // One look: between two of them an event may be in neither place.
      const books = await readTotals(client, keys);
      return books.imported + books.superseded + books.deadLettered === books.accepted;
    },
    timeoutMs,
  );
}
