import { createHoldState, type HoldState } from '../../src/hold/hold-state.ts';
import { readTotals, type Totals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../../test/support/eventually.ts';
import { type ImsyncProcess, imsync } from '../../test/support/process.ts';
import { startRedis, type TestRedis } from '../../test/support/redis-server.ts';
import { type SimulateProcess, startSimulate } from '../../test/support/simulate.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import { processCpuMicros } from '../measure/process-cost.ts';
import { parseServerCost, type ServerCost } from '../measure/server-info.ts';
import type { BenchContext } from './bench.ts';

/** A redis-server (AOF, fsync every second), a simulator and workers, each a process of its own. */
export interface Stage {
  readonly server: TestRedis;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly hold: HoldState;
  readonly simulator: SimulateProcess;
  readonly workers: readonly ImsyncProcess[];
  /** What a process needs to join in. */
  readonly env: Readonly<Record<string, string>>;
  startWorker(env?: Readonly<Record<string, string>>): Promise<ImsyncProcess>;
  /** SIGTERM to one, or to all. */
  stopWorkers(which?: readonly ImsyncProcess[]): Promise<void>;
  books(): Promise<Totals>;
  /** Waits until every event has ended. */
  drained(timeoutMs?: number): Promise<Totals>;
  serverCost(): Promise<ServerCost>;
  /** CPU of all workers so far, µs. */
  workerCpuMicros(): number;
  slotsGivenUp(): Promise<number>;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of `imsync simulate`. */
  readonly simulate?: readonly string[];
  /** Stands between the workers and Redis: answers the port to use instead of Redis's own. */
  readonly redisPort?: (port: number) => Promise<number>;
}

/** High enough never to bind on two cores; the simulator has no limit then. */
export const LIFTED_CALLS_PER_SECOND = 2_000;
export const LIFTED_ENV = {
  IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(LIFTED_CALLS_PER_SECOND),
} as const;
export const LIFTED_SIMULATOR = ['--quota', 'multiaccount_import=1000000'] as const;

/** Arguments of Node with which the Dockerfile and the systemd unit start a worker. */
export const AS_SHIPPED: readonly string[] = ['--max-semi-space-size=8', '--no-allocation-site-pretenuring'];

const DRAIN_MS = 120_000;
const START_MS = 120_000;

export async function openStage(context: BenchContext, options: StageOptions = {}): Promise<Stage> {
  const server = await startRedis();
  const simulator = await startSimulate(options.simulate).catch(async (error: Error) => {
    await server.stop();
    throw error;
  });
  const redis = openRedis(server.settings, 'loop', 'bench', () => undefined);
  const keys = keysOf(TEST_APP.sdkAppId);
  const port = (await options.redisPort?.(server.port)) ?? server.port;
  const env = {
    IMSYNC_REDIS_URL: `redis://127.0.0.1:${port}`,
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_BASE_URL: simulator.url,
    ...options.env,
  };
  const profiling =
    context.profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${context.profileFolder}`];
  let workers: ImsyncProcess[] = [];
  /** For whoever waits for the end of all events in vain. */
  const whatIsLeft = async (): Promise<string> => {
    const open = await redis.zrange(keys.open, '0', '-1');
    const records = await Promise.all(
      open.slice(0, 3).map((callId) => redis.hmget(keys.callPrefix + callId, 'command', 'run', 'sentAt')),
    );
    return JSON.stringify({
      ...{ books: await readTotals(redis, keys), inStream: await redis.xlen(keys.stream), open: open.length },
      ...{ records, hold: await redis.hgetall(keys.hold), redisTime: await redis.time() },
      pace: await redis.hgetall(`${keys.pacePrefix}multiaccount_import`),
      workers: workers.map(({ child, lines }) => [child.exitCode ?? child.signalCode, ...lines.slice(-3)]),
    });
  };
  const stage: Stage = {
    server,
    redis,
    keys,
    hold: createHoldState(redis, keys),
    simulator,
    get workers() {
      return workers;
    },
    env,
    async startWorker(more = {}) {
      const worker = imsync(['worker'], { ...env, ...more }, undefined, {
        nodeArgs: [...AS_SHIPPED, ...profiling],
      });
      workers.push(worker);
      const ended = worker.ended.then((how) => {
        throw new Error(`a worker ended with ${how} instead of starting: ${worker.stderr()}`);
      });
      // Whoever ends it later does not wait here any more.
      ended.catch(() => undefined);
      await Promise.race([worker.line('worker started', START_MS), ended]);
      return worker;
    },
    async stopWorkers(which = workers) {
      workers = workers.filter((worker) => !which.includes(worker));
      for (const worker of which) worker.signal('SIGTERM');
      await Promise.all(which.map(({ ended }) => ended));
    },
    books: () => readTotals(redis, keys),
    drained: (timeoutMs = DRAIN_MS) =>
      eventually(
        'every event has ended',
        async () => {
          const books = await readTotals(redis, keys);
          return books.imported + books.superseded + books.deadLettered === books.accepted ? books : null;
        },
        timeoutMs,
      ).catch(async (error: Error) => {
        throw new Error(`${error.message}; ${await whatIsLeft()}`);
      }),
    serverCost: async () => parseServerCost(await redis.info('all')),
    workerCpuMicros: () => workers.reduce((sum, { pid }) => sum + processCpuMicros(pid), 0),
    slotsGivenUp: async () => Number(await redis.hget(`${keys.pacePrefix}multiaccount_import`, 'givenUp')),
    async close() {
      await stage.stopWorkers();
      await closeRedis(redis);
      simulator.process.signal('SIGTERM');
      await simulator.process.ended;
      await server.stop();
    },
  };
  try {
    for (let i = 0; i < (options.workers ?? 0); i++) await stage.startWorker();
    return stage;
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Runs `work` on a stage of its own and takes the stage down after it. */
export async function onStage<T>(
  context: BenchContext,
  options: StageOptions,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const stage = await openStage(context, options);
  try {
    return await work(stage);
  } finally {
    await stage.close();
  }
}
