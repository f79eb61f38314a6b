import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config, ReadFile } from './config/config.ts';
import { type Api, type Hosts, openApi } from './im/open-api.ts';
import { logHostSwitch } from './logging/health-log.ts';
import type { Logger } from './logging/log.ts';
import { startFeed } from './ops/feed/feed.ts';
import { ratePerSecond } from './pace/budget.ts';
import { keysOf } from './redis/keys.ts';
import { AccountChecks } from './tasks/check-users.ts';
import { CallTracer } from './tracing/call-tracer.ts';
import { type Environment, startTracing, wantsTraces } from './tracing/start-tracing.ts';
import { startCalls } from './worker/calls.ts';
import { startChangeLogs } from './worker/change-logs.ts';
import { openConnections } from './worker/connections.ts';
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
  const { config, readFile, version, log, droppedLines = () => 0, hosts } = options;
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
  const api = openApi(config, readFile, { hosts, onSwitch: logHostSwitch(log) });
  const { metrics } = ops;
  const onTrouble = connections.log.trouble('listening for imsync top and tail');
  const feed = startFeed({ connections, keys, id, version, onTrouble });
  const tracer =
    tracing &&
    new CallTracer({
      stream: keys.stream,
      urlOf: api.client.urlOf,
      showUsers: config.traces.showUsers,
    });
  const calls = startCalls({
    ...{ config, capacity, connections, keys, pacing, api, metrics, feed, random, log, tracer },
  });
  if (config.api.form !== 'hosted') lookup.askThrough(accountChecks(config, api, pacing, random));
  const own = { id, version, intakeUrl: intake?.url };
  const changeLogs = startChangeLogs({ config, connections, keys, pacing, api, feed, log }, own);
  const notices = await startNotices({ config, readFile, id, connections, keys, pacing, metrics, log });
  const relay = config.relay.inWorker
    ? await startRelay({ config, readFile, id, connections, keys, metrics, log })
    : undefined;
  ops.started([...calls.loops, ...notices.loops, ...(relay?.loops ?? [])]);
  const quota = capacity.quota(capacity.batch);
  log.info(
    {
      workerId: id,
      version,
      redis: connections.serverVersion,
      api: config.api.baseUrl === '' ? config.api.region : new URL(config.api.baseUrl).host,
      form: config.api.form,
      quota: quota.perSecond,
      startedPerSecond: Math.round(100 * ratePerSecond(quota)) / 100,
    },
    'worker started',
  );

  const stop = async (): Promise<void> => {
    ops.stopping();
    connections.log.close();
    log.info('worker is stopping: calls on the wire are finished, the rest is left to others');
    await Promise.all([changeLogs.close(), calls.close(), intake?.close(), notices.close(), relay?.close()]);
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
