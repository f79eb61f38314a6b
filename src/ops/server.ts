import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CallQueues } from '../calls/bullmq/queues.ts';
import type { Config } from '../config/config.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { listen } from '../lifecycle/listen.ts';
import { createCachedRead, within } from '../lifecycle/wait.ts';
import type { Logger } from '../logging/log.ts';
import { quotasOf } from '../pace/budget.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { readServerFacts, redisProblems, writeProblems } from '../redis/requirements.ts';
import { createFleetMetrics } from './fleet-metrics.ts';
import { type Heartbeat, stuckLoops, type WatchedLoop } from './liveness.ts';
import { createProcessMetrics, type ProcessMetrics } from './process-metrics.ts';
import { readStatus, type Status } from './status.ts';

/** Scrapes and probes within this time share one read of Redis. */
const FRESH_MS = 1_000;
/** A probe waits no longer for Redis than this. */
const PATIENCE_MS = 1_500;
const TOO_LATE = `Redis did not answer within ${PATIENCE_MS} ms. Look whether it runs and is reachable from here.`;
/** Probes and scrapers need few connections. */
const MAX_CONNECTIONS = 100;
const REQUEST_MS = 5_000;
const OPS_WORDS = {
  what: 'ops server',
  inUse: 'Give each worker a port of its own with IMSYNC_OPS_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_OPS_HOST',
  portVariable: 'IMSYNC_OPS_PORT',
};

export type Ops = Awaited<ReturnType<typeof openOps>>;

/** Rejects with ListenError when the ops server cannot listen. */
export async function openOps(options: {
  readonly config: Config;
  /** A connection of its own, which fails at once while Redis is away. */
  readonly redis: RedisClient;
  /** Why connections of this process cannot be used although Redis answers. */
  readonly refusals: () => readonly string[];
  readonly keys: Keys;
  readonly version: string;
  readonly heartbeat: Heartbeat;
  readonly droppedLines: () => number;
  readonly log: Logger;
  /** What the process is. */
  readonly what?: 'worker' | 'relay';
}) {
  const { config, redis, refusals, keys, version, heartbeat, droppedLines, log, what = 'worker' } = options;
  const quotas = quotasOf(config);
  const commands = Object.keys(quotas) as ImportCommand[];
  // The owner of `redis` hears of its connection errors; the queues share that connection.
  const queues = new CallQueues(redis, keys, commands, () => undefined);
  const metrics = createProcessMetrics(version, commands, droppedLines);
  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  let loops: readonly WatchedLoop[] = [];
  let ownProblems = (): readonly string[] => [];
  const status = boundedRead(redis, () => readStatus({ redis, keys }, queues, config.app.sdkAppId, quotas));
  const redisIsReady = boundedRead(redis, () => readinessProblems(redis, keys, config.redis.allowVolatile));
  const readiness = async (): Promise<readonly string[]> => {
    if (phase === 'starting') return [`The ${what} is starting. Wait a moment.`];
    if (phase === 'stopping') return [`The ${what} is stopping.`];
    const refused = refusals().map((reason) => `Redis refuses: ${reason}.`);
    return refused.length > 0 ? refused : [...(await redisIsReady()), ...ownProblems()];
  };
  const livez = (): OpsAnswer => livenessAnswer(stuckLoops(loops, heartbeat, performance.now()));
  const server = serve({
    '/livez': livez,
    '/healthz': livez,
    '/readyz': async () => {
      const problems = await readiness().catch((error: Error) => [error.message]);
      return problems.length === 0 ? json(200, { status: 'ok' }) : json(503, { status: 'unready', problems });
    },
    '/status': () =>
      status().then(
        (read) => json(200, read),
        (error: Error) => json(503, { error: error.message }),
      ),
    '/metrics': createScrape(metrics, status),
  });
  const url = await listen(server, config.ops, OPS_WORDS, () =>
    once(server.listen(config.ops), 'listening'),
  ).catch(async (error: Error) => {
    await queues.close();
    throw error;
  });
  log.info({ url }, 'ops server listens: /livez, /readyz, /status, /metrics');
  return {
    metrics,
    /** Fails in words for operators. */
    status,
    /**
     * The loops run: from now on /livez watches them, and /readyz may be green. `problems`: what else keeps
     * this process from its work.
     */
    started(running: readonly WatchedLoop[], problems = ownProblems): void {
      loops = running;
      ownProblems = problems;
      phase = 'running';
    },
    /** /readyz turns red. The other paths go on answering. */
    stopping(): void {
      phase = 'stopping';
    },
    /** To be called before Redis is closed. */
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await queues.close();
    },
  };
}

/** A read of Redis that may be asked for at any rate. It ends in time, and fails in words for operators. */
function boundedRead<T>(redis: RedisClient, read: () => Promise<T>): () => Promise<T> {
  const cached = createCachedRead(read, FRESH_MS);
  return () =>
    within(cached(), PATIENCE_MS, TOO_LATE).catch((error: Error) => {
      // A client's own words about its connection mean nothing to an operator.
      if (error.message === TOO_LATE) throw error;
      if (redis.status === 'ready') throw new Error(`Redis answers with an error: ${error.message}`);
      throw new Error('Redis cannot be reached at present. Look whether it runs and is reachable from here.');
    });
}

/**
 * Why an event could not be accepted now, in sentences; empty when it could: Redis answers, takes writes and
 * keeps them. A hold or a pause is no reason: events are accepted and wait.
 */
async function readinessProblems(redis: RedisClient, keys: Keys, allowVolatile: boolean): Promise<string[]> {
  const facts = await readServerFacts(redis, keys);
  return [...writeProblems(facts), ...redisProblems(facts, allowVolatile)];
}

interface OpsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

function json(status: number, body: object): OpsAnswer {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) };
}

function livenessAnswer(stuck: ReturnType<typeof stuckLoops>): OpsAnswer {
  if (stuck.length === 0) return json(200, { status: 'ok' });
  const sinceOf = (stuckForMs: number): string => new Date(Date.now() - stuckForMs).toISOString();
  return json(503, {
    status: 'stuck',
    stuck: stuck.map(({ loop, stuckForMs }) => ({ loop, since: sinceOf(stuckForMs), stuckForMs })),
  });
}

/** Answers a scrape: this process's metrics, and the fleet's as long as Redis answers. */
function createScrape(own: ProcessMetrics, status: () => Promise<Status>): () => Promise<OpsAnswer> {
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
    return { status: 200, contentType: own.registry.contentType, text };
  };
}

/**
 * A server that answers by method and path alone; no body is read. It is Node's own: five paths without
 * parameters need no framework, which every worker would load at its start (docs/decisions/0092).
 */
function serve(routes: Readonly<Record<string, () => OpsAnswer | Promise<OpsAnswer>>>) {
  const paths = new Map(Object.entries(routes));
  const answer = async ({ url = '', method }: IncomingMessage, response: ServerResponse): Promise<void> => {
    const route = method === 'GET' || method === 'HEAD' ? paths.get(url.split('?', 1)[0] ?? '') : undefined;
    const { status, contentType, text } = await Promise.resolve()
      .then(route ?? nothingHere)
      .catch(() => json(500, { error: 'The answer cannot be given: a bug, please report it.' }));
    response.writeHead(status, {
      'cache-control': 'no-store',
      'content-type': contentType,
      'content-length': Buffer.byteLength(text),
    });
    response.end(method === 'HEAD' ? undefined : text);
  };
  const server = createServer(
    { requestTimeout: REQUEST_MS, keepAliveTimeout: 6 * REQUEST_MS },
    (request, response) => void answer(request, response),
  );
  server.setTimeout(6 * REQUEST_MS);
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

function nothingHere(): OpsAnswer {
  return json(404, { error: 'There is nothing here. GET /livez, /readyz, /status or /metrics.' });
}
