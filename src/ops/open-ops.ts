import { performance } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { openCallQueues } from '../calls/bullmq/queues.ts';
import type { Config } from '../config/config.ts';
import type { DeliveryReport } from '../delivery/delivery-report.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { createCachedRead, within } from '../lifecycle/wait.ts';
import type { Logger } from '../logging/log.ts';
import { quotasOf } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerInfo } from '../redis/owner.ts';
import { parseServerFacts, redisProblems, writeProblems } from '../redis/requirements.ts';
import { createFleetMetrics } from './fleet-metrics.ts';
import type { Heartbeat } from './heartbeat.ts';
import { stuckLoops, type WatchedLoop } from './liveness.ts';
import { createProcessMetrics, type ProcessMetrics } from './process-metrics.ts';
import { type OpsServer, type OpsSources, startOpsServer } from './server.ts';
import { readStatus, type Status } from './status.ts';

/** The ops server of a worker and its metrics. */
export interface Ops {
  /** Feeds the metrics. */
  readonly report: DeliveryReport;
  readonly probed: ProcessMetrics['probed'];
  readonly swept: ProcessMetrics['swept'];
  readonly runFailed: ProcessMetrics['runFailed'];
  readonly server: OpsServer;
  /** The metrics of this process, for further ones. */
  readonly registry: Registry;
  /** The loops run: from now on /livez watches them, and /readyz may be green. */
  started(loops: readonly WatchedLoop[]): void;
  /** /readyz turns red. The other paths go on answering. */
  stopping(): void;
  /** To be called before Redis is closed. */
  close(): Promise<void>;
}

/** Scrapes and probes within this time share one read of Redis. */
const FRESH_MS = 1_000;
/** A probe waits no longer for Redis than this. */
const PATIENCE_MS = 1_500;
const TOO_LATE = `Redis did not answer within ${PATIENCE_MS} ms. Look whether it runs and is reachable from here.`;

interface OpsOptions {
  readonly config: Config;
  /** A connection of its own, which fails at once while Redis is away. */
  readonly redis: RedisClient;
  /** Why connections of this process cannot be used although Redis answers. */
  readonly refusals: () => readonly string[];
  readonly keys: Keys;
  readonly version: string;
  readonly heartbeat: Heartbeat;
  readonly log: Logger;
}

/** Rejects with ListenError when the ops server cannot listen. */
export async function openOps(options: OpsOptions): Promise<Ops> {
  const { config, redis, refusals, keys, version, heartbeat, log } = options;
  const quotas = quotasOf(config);
  const commands = Object.keys(quotas) as ImportCommand[];
  // The owner of `redis` hears of its connection errors; the queues share that connection.
  const queues = openCallQueues(redis, keys, commands, () => undefined);
  const own = createProcessMetrics(version, commands);
  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  let loops: readonly WatchedLoop[] = [];
  const status = boundedRead(redis, () => readStatus(redis, keys, queues, config.app.sdkAppId, quotas));
  const readiness = boundedRead(redis, () => readinessProblems(redis, keys, config.redis.allowVolatile));
  const sources: OpsSources = {
    stuckLoops: () => stuckLoops(loops, heartbeat, performance.now()),
    readinessProblems: async () => {
      if (phase === 'starting') return ['The worker is starting. Wait a moment.'];
      if (phase === 'stopping') return ['The worker is stopping.'];
      const refused = refusals().map((reason) => `Redis refuses: ${reason}.`);
      return refused.length > 0 ? refused : readiness();
    },
    status,
    metrics: createScrape(own, status),
  };
  const server = await startOpsServer(sources, config.ops).catch(async (error: Error) => {
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

/**
 * A read of Redis that clients may ask for at any rate. It ends in time, and fails in words for an operator.
 */
function boundedRead<T>(redis: RedisClient, read: () => Promise<T>): () => Promise<T> {
  const cached = createCachedRead(read, FRESH_MS);
  return async () => {
    try {
      return await within(cached(), PATIENCE_MS, TOO_LATE);
    } catch (error) {
      throw inWords(error as Error, redis);
    }
  };
}

/** A client's own words about its connection mean nothing to an operator. */
function inWords(error: Error, redis: RedisClient): Error {
  if (error.message === TOO_LATE) return error;
  if (redis.status === 'ready') return new Error(`Redis answers with an error: ${error.message}`);
  return new Error('Redis cannot be reached at present. Look whether it runs and is reachable from here.');
}

/**
 * Why an event could not be accepted now, in sentences; empty when it could: Redis answers, takes writes and
 * keeps them. A hold or a pause is no reason: events are accepted and wait.
 */
async function readinessProblems(
  redis: RedisClient,
  keys: Keys,
  allowVolatile: boolean,
): Promise<readonly string[]> {
  const info = await ownerInfo(redis, keys);
  return [...writeProblems(info), ...redisProblems(parseServerFacts(info), allowVolatile)];
}

/** Answers a scrape: this process's metrics, and the fleet's as long as Redis answers. */
function createScrape(own: ProcessMetrics, status: () => Promise<Status>): OpsSources['metrics'] {
  const fleet = createFleetMetrics();
  const fleetText = async (): Promise<string> => {
    try {
      fleet.show(await status());
      own.redisReachable(true);
      return await fleet.registry.metrics();
    } catch {
      // Old values would look like present ones, so the fleet's metrics are left out.
      own.redisReachable(false);
      return '';
    }
  };
  return async () => {
    const shared = await fleetText();
    const text = `${await own.registry.metrics()}\n${shared}`;
    return { contentType: own.registry.contentType, text };
  };
}
