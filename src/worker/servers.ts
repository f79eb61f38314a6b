import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { createUserLookup } from '../http-intake/get-user.ts';
import { ListenError } from '../lifecycle/listen.ts';
import type { Logger } from '../logging/log.ts';
import { startHeartbeat } from '../ops/liveness.ts';
import { type Ops, openOps } from '../ops/server.ts';
import type { Keys } from '../redis/keys.ts';
import { createMemoryWatermark } from '../redis/memory-watermark.ts';
import { writeNothing } from '../redis/owner.ts';
import type { Connections } from './connections.ts';

/**
 * The servers get their ports before any work is taken: a port in use must not cost a start and a stop. The
 * intake needs only Redis: any worker imports what it accepts. Rejects with ConfigError when a port cannot be
 * had, and then leaves only the connections open.
 */
export async function openServers(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly version: string;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly droppedLines: () => number;
  readonly isTraced: boolean;
  readonly log: Logger;
}) {
  const { config, readFile, version, connections, keys, droppedLines, isTraced, log } = options;
  const { ops: redis, refusals } = connections;
  const heartbeat = startHeartbeat({
    ping: () => writeNothing(connections.commands, keys),
    onBeat: connections.log.heartbeat,
  });
  const lookup = createUserLookup({
    ...{ redis, keys },
    whyNot: config.api.form === 'hosted' ? 'IMSYNC_API=hosted has no call for it' : 'the worker is starting',
  });
  const openIntakeIfWanted = async ({ metrics: { registry } }: Ops) => {
    const { port } = config.intake;
    if (port === null) return undefined;
    // Only the intake needs a web framework, which takes its time to load.
    const { openIntake } = await import('../http-intake/server.ts');
    return openIntake({
      ...{ readFile, version, heartbeat, registry, isTraced, log },
      config: { ...config, intake: { ...config.intake, port } },
      memory: createMemoryWatermark(redis, keys),
      findUser: lookup.find,
    });
  };
  let ops: Ops | undefined;
  try {
    ops = await openOps({ config, redis, refusals, keys, version, heartbeat, droppedLines, log });
    const intake = await openIntakeIfWanted(ops);
    const { close } = ops;
    return {
      /** `lookup`: the intake's, for questions about a user. `intake`: undefined without a port for it. */
      ...{ ops, intake, lookup },
      /** Comes last: until then the ops server answers how the worker is. */
      async close(): Promise<void> {
        heartbeat.close();
        await close();
      },
    };
  } catch (error) {
    heartbeat.close();
    await ops?.close();
    throw error instanceof ListenError ? new ConfigError([error.message]) : error;
  }
}
