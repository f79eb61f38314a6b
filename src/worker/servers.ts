import { ConfigError, type ReadFile } from '../config/config.ts';
import { createUserLookup } from '../http-intake/get-user.ts';
import { ListenError } from '../lifecycle/listen.ts';
import { startHeartbeat } from '../ops/liveness.ts';
import { type Ops, openOps } from '../ops/server.ts';
import { createMemoryWatermark } from '../redis/memory-watermark.ts';
import { writeNothing } from '../redis/owner.ts';
import type { Parts } from './calls.ts';

/**
 * The servers get their ports before any work is taken: a port in use must not cost a start and a stop. The
 * intake needs only Redis: any worker imports what it accepts. Rejects with ConfigError when a port cannot be
 * had, and then leaves only the connections open.
 */
export async function openServers(
  options: Pick<Parts, 'config' | 'connections' | 'keys' | 'log'> & {
    readonly readFile: ReadFile;
    readonly version: string;
    readonly droppedLines: () => number;
    readonly isTraced: boolean;
  },
) {
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
