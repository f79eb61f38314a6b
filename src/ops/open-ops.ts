import { performance } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import type { Config } from '../config/config.ts';
import type { DeliveryReport } from '../delivery/delivery-report.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { createFreshReader } from '../lifecycle/cached-read.ts';
import type { Logger } from '../logging/log.ts';
import { quotasOf } from '../pace/quotas.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { createFleetMetrics } from './fleet-metrics.ts';
import type { Heartbeat } from './heartbeat.ts';
import { stuckLoops, type WatchedLoop } from './liveness.ts';
import { createProcessMetrics, type ProcessMetrics } from './process-metrics.ts';
import { readinessProblems } from './readiness.ts';
import { type OpsServer, startOpsServer } from './server.ts';
import { readStatus, type Status } from './status.ts';

/** How a worker is looked at from outside: its server and its metrics. */
export interface Ops {
  /** Feeds the metrics. */
  readonly report: DeliveryReport;
  readonly probed: ProcessMetrics['probed'];
  readonly swept: ProcessMetrics['swept'];
  readonly runFailed: ProcessMetrics['runFailed'];
  readonly server: OpsServer;
  /** What /metrics shows of this process, for further counts. */
  readonly registry: Registry;
  /** The loops run: from now on /livez answers for them, and /readyz may be green. */
  started(loops: readonly WatchedLoop[]): void;
  /** /readyz turns red; the rest goes on answering. */
  stopping(): void;
  /** Before Redis is closed. */
  close(): Promise<void>;
}

/** Scrapes and probes that come closer together share one read. */
const FRESH_MS = 1_000;
/** A probe waits no longer for Redis than this. */
const PATIENCE_MS = 1_500;
const TOO_LATE = `Redis did not answer within ${PATIENCE_MS} ms. Look whether it runs and is reachable from here.`;

/** Rejects with ListenError when the port cannot be had. */
export async function openOps(options: {
  readonly config: Config;
  /** Of its own, and one that fails at once while Redis is away. */
  readonly redis: RedisClient;
  /** Why connections of this process cannot be used though Redis answers. */
  readonly refusals: () => readonly string[];
  readonly keys: Keys;
  readonly version: string;
  readonly heartbeat: Heartbeat;
  readonly log: Logger;
}): Promise<Ops> {
  const { config, redis, refusals, keys, version, heartbeat, log } = options;
  const quotas = quotasOf(config);
  const commands = Object.keys(quotas) as ImportCommand[];
  // A queue's own connection errors are those of `redis`, which its owner hears of.
  const queues = openCallQueues(redis, keys, commands, () => undefined);
  const own = createProcessMetrics(version, commands);
  const fleet = createFleetMetrics();
  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  let loops: readonly WatchedLoop[] = [];

  const fresh = <T>(read: () => Promise<T>): (() => Promise<T>) => {
    const reader = createFreshReader(read, { forMs: FRESH_MS, withinMs: PATIENCE_MS, tooLate: TOO_LATE });
    return () => reader().catch((error: Error) => Promise.reject(inWords(error, redis)));
  };
  const status = fresh<Status>(() => readStatus(redis, keys, queues, config.app.sdkAppId, quotas));
  const readiness = fresh(() => readinessProblems(redis, keys, config.redis.allowVolatile));

  const fleetText = async (): Promise<string> => {
    try {
      fleet.show(await status());
      own.redisReachable(true);
      return await fleet.registry.metrics();
    } catch {
      // Old values would look like the present: better none.
      own.redisReachable(false);
      return '';
    }
  };

  const server = await startOpsServer(
    {
      stuckLoops: () => stuckLoops(loops, heartbeat, performance.now()),
      readinessProblems: async () => {
        if (phase === 'starting') return ['The worker is starting. Wait a moment.'];
        if (phase === 'stopping') return ['The worker is stopping.'];
        const refused = refusals().map((reason) => `Redis refuses: ${reason}.`);
        return refused.length > 0 ? refused : readiness();
      },
      status,
      metrics: async () => {
        const shared = await fleetText();
        const text = `${await own.registry.metrics()}\n${shared}`;
        return { contentType: own.registry.contentType, text };
      },
    },
    config.ops,
  ).catch(async (error: Error) => {
    await queues.close();
    throw error;
  });
  log.info({ url: server.url }, 'ops server listens: /livez, /readyz, /status, /metrics');
  return {
    report: own.report,
    probed: own.probed,
    swept: own.swept,
    runFailed: own.runFailed,
    server,
    registry: own.registry,
    started(running) {
      loops = running;
      phase = 'running';
    },
    stopping() {
      phase = 'stopping';
    },
    async close() {
      await server.close();
      await queues.close();
    },
  };
}

/** A client's own words about its connection mean nothing to an operator. */
function inWords(error: Error, redis: RedisClient): Error {
  if (error.message === TOO_LATE) return error;
  if (redis.status === 'ready') return new Error(`Redis answers with an error: ${error.message}`);
  return new Error('Redis cannot be reached at present. Look whether it runs and is reachable from here.');
}
