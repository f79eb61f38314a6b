import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config, ReadFile } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import { type Api, type Hosts, openApi, proxyOf } from './im/open-api.ts';
import { logHostSwitch } from './logging/health-log.ts';
import type { Logger } from './logging/log.ts';
import { logStreamTrouble } from './logging/stream-log.ts';
import { startFeed } from './ops/feed/feed.ts';
import { FleetCounts } from './ops/history/fleet-counts.ts';
import { ratePerSecond } from './pace/budget.ts';
import { keysOf } from './redis/keys.ts';
import { AccountChecks } from './tasks/check-users.ts';
import { CallTracer } from './tracing/call-tracer.ts';
import { type Environment, startTracing, wantsTraces } from './tracing/start-tracing.ts';
import { startCalls } from './worker/calls.ts';
import { startChangeLogs } from './worker/change-logs.ts';
import { openConnections } from './worker/connections.ts';
import { startConsole } from './worker/console.ts';
import { startNotices } from './worker/notices.ts';
import { capacityOf, openPacing, type Pacing } from './worker/pacing.ts';
import { startRelay } from './worker/relay.ts';
import { openServers } from './worker/servers.ts';

/** Spans that wait are sent for so long at a stop. */
const TRACES_MS = 2_000;

export interface RunningWorker {
  readonly id: string;
  /** Finishes what is on the wire, leaves the rest to others, and resolves when all is closed. */
  stop(): Promise<void>;
}

/** Builds one worker process and starts it in order. Rejects with OutOfReachError or ConfigError. */
export async function startWorker(options: {
  readonly config: Config;
  /** Where each setting comes from, for the console. */
  readonly origins?: LoadedConfig['origins'];
  readonly readFile: ReadFile;
  readonly version: string;
  readonly log: Logger;
  /** How many lines `log` has lost, for the metrics. */
  readonly droppedLines?: () => number;
  readonly random?: () => number;
  /** Variables of OpenTelemetry, which say whether traces are made. Default: none. */
  readonly env?: Environment;
  /** Replace the hosts that the configuration names. */
  readonly hosts?: Hosts;
}): Promise<RunningWorker> {
  const { config, origins = {}, readFile, version, log, droppedLines = () => 0, hosts } = options;
  const { random = Math.random, env = {} } = options;
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const keys = keysOf(config.app.sdkAppId);
  const capacity = capacityOf(config);

  const tracing = wantsTraces(env) ? startTracing({ env, version, workerId: id, log }) : undefined;
  // Redis first: whatever else is wrong, nothing can be done without it.
  const connections = await openConnections({ config, readFile, keys, log });
  const [servers, pacing] = await Promise.all([
    openServers({
      ...{ config, readFile, version, connections, keys, droppedLines, log },
      isTraced: tracing !== undefined,
    }),
    openPacing(config, connections, keys, capacity.commands),
  ]).catch(async (error: unknown) => {
    connections.log.close();
    await connections.close();
    throw error;
  });
  const { ops, intake, lookup } = servers;
  const { status } = ops;
  // Comes after the other ports and before any work, as they do.
  const page = await startConsole({ config, origins, keys, log, readFile, version, status, lookup }).catch(
    async (error: unknown) => {
      connections.log.close();
      await Promise.all([intake?.close(), servers.close()]);
      await connections.close();
      throw error;
    },
  );
  const api = openApi(config, readFile, { hosts, onSwitch: logHostSwitch(log) });
  const { metrics } = ops;
  const onTrouble = connections.log.trouble('listening for imsync top and tail');
  const feed = startFeed({ connections, keys, id, version, onTrouble });
  const { showUsers } = config.traces;
  const tracer = tracing && new CallTracer({ stream: keys.stream, urlOf: api.client.urlOf, showUsers });
  const counts = new FleetCounts();
  const calls = startCalls({
    ...{ config, capacity, connections, keys, pacing, api, metrics, feed, counts, random, log, tracer },
  });
  if (config.api.form !== 'hosted') lookup.askThrough(accountChecks(config, api, pacing, random));
  const own = { id, version, intakeUrl: intake?.url };
  const changeLogs = startChangeLogs(
    { config, capacity, counts, connections, keys, pacing, api, metrics, feed, log },
    own,
  );
  const notices = await startNotices({ config, readFile, id, connections, keys, pacing, metrics, log });
  const relay = config.relay.inWorker
    ? await startRelay({ config, readFile, id, connections, keys, metrics, log })
    : undefined;
  ops.started([...calls.loops, ...notices.loops, ...(relay?.loops ?? [])]);
  const proxy = hosts === undefined ? proxyOf(config, readFile)?.shown() : undefined;
  const redisVersion = connections.serverVersion;
  log.info({ workerId: id, version, redis: redisVersion, ...wayOf(config, proxy) }, 'worker started');
  void logStreamTrouble({ redis: connections.ops, keys }, log);

  const stop = async (): Promise<void> => {
    ops.stopping();
    connections.log.close();
    log.info('worker is stopping: calls on the wire are finished, the rest is left to others');
    await Promise.all([
      changeLogs.close(),
      calls.close(),
      intake?.close(),
      page?.close(),
      notices.close(),
      relay?.close(),
    ]);
    feed.close();
    api.client.close();
    await servers.close();
    await connections.close();
    await tracing?.close(TRACES_MS);
    log.info('worker stopped');
  };
  let stopped: Promise<void> | undefined;
  return {
    id,
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** For the first line of the log: where calls go, and how many. */
function wayOf(config: Config, proxy: string | undefined) {
  const { api } = config;
  const { quota, batch } = capacityOf(config);
  return {
    api: api.baseUrl === '' ? api.region : new URL(api.baseUrl).host,
    ...(proxy !== undefined && { proxy }),
    form: api.form,
    quota: quota(batch).perSecond,
    startedPerSecond: Math.round(100 * ratePerSecond(quota(batch))) / 100,
  };
}

/** Asks the API whether a user has an account, for the HTTP intake. */
function accountChecks(config: Config, api: Api, pacing: Pacing, random: () => number): AccountChecks {
  return new AccountChecks({
    ...{ client: api.client, watch: pacing.watch, random },
    limiter: pacing.checkLimiter,
    slotClass: 'live',
    otherSlots: Object.values(pacing.limiters).map(({ slots }) => slots),
    overrides: config.verdicts,
    signAnew: api.signAnew,
    maxFailures: 2,
    report: { again() {}, answered() {} },
  });
}
