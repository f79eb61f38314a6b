import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { ListenError } from '../lifecycle/listen.ts';
import type { Logger } from '../logging/log.ts';
import { startHeartbeat } from '../ops/liveness.ts';
import { openOps } from '../ops/server.ts';
import { keysOf } from '../redis/keys.ts';
import { writeNothing } from '../redis/owner.ts';
import type { Source } from '../relay/open-outbox.ts';
import { openConnections } from './connections.ts';
import { startRelay } from './relay.ts';

/**
 * Starts a process that is a relay and no worker, with the ops server of one. It starts without the database,
 * and waits for it. Rejects with OutOfReachError or ConfigError.
 */
export async function startRelayProcess(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly version: string;
  readonly log: Logger;
  readonly droppedLines: () => number;
  readonly source: Source;
}): Promise<{ stop(): Promise<void> }> {
  const { config, readFile, version, log, droppedLines, source } = options;
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const keys = keysOf(config.app.sdkAppId);
  const connections = await openConnections({ config, readFile, keys, log });
  const { ops: redis, refusals } = connections;
  const heartbeat = startHeartbeat({
    ping: () => writeNothing(connections.commands, keys),
    onBeat: connections.log.heartbeat,
  });
  const ops = await openOps({
    ...{ config, redis, refusals, keys, version, heartbeat, droppedLines, log, what: 'relay' },
  }).catch(async (error: unknown) => {
    heartbeat.close();
    connections.log.close();
    await connections.close();
    throw error instanceof ListenError ? new ConfigError([error.message]) : error;
  });
  const { metrics } = ops;
  const relay = await startRelay({ config, readFile, id, connections, keys, metrics, log, source });
  ops.started(relay.loops, relay.problems);
  log.info({ relayId: id, version, redis: connections.serverVersion }, 'relay started');
  return {
    async stop() {
      ops.stopping();
      connections.log.close();
      await relay.close();
      heartbeat.close();
      await ops.close();
      await connections.close();
      log.info('relay stopped');
    },
  };
}
