import type { Config, ReadFile } from '../config/config.ts';
import { createUserLookup } from '../http-intake/get-user.ts';
import type { Intake } from '../http-intake/open-intake.ts';
import { ListenError } from '../lifecycle/listen-problem.ts';
import type { Logger } from '../logging/log.ts';
import { startHeartbeat } from '../ops/heartbeat.ts';
import { type Ops, openOps } from '../ops/open-ops.ts';
import type { Keys } from '../redis/keys.ts';
import { createMemoryWatermark } from '../redis/memory-watermark.ts';
import { writeNothing } from '../redis/owner.ts';
import type { Connections } from './connections.ts';
import { UnfitError } from './start-errors.ts';

/** What of a worker is seen from outside. */
export interface Servers {
  readonly ops: Ops;
  /** Absent without a port for it. */
  readonly intake: Intake | undefined;
  /** The intake's, for questions about a user. */
  readonly lookup: ReturnType<typeof createUserLookup>;
  /** Last: until then it answers how the worker is. */
  close(): Promise<void>;
}

/**
 * The ports are had before any work is taken: one in use must not cost a start and a stop. The intake needs nothing
 * of this process but Redis: what it accepts is worked off by any worker. Rejects with UnfitError when a port cannot
 * be had, and leaves nothing open then but the connections.
 */
export async function openServers(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly version: string;
  readonly connections: Connections;
  readonly keys: Keys;
  readonly log: Logger;
}): Promise<Servers> {
  const { config, readFile, version, connections, keys, log } = options;
  const redis = connections.ops;
  const heartbeat = startHeartbeat({
    ping: () => writeNothing(connections.commands, keys),
    onChange: connections.log.heartbeat,
  });
  const unheld = (error: unknown): never => {
    heartbeat.close();
    throw error instanceof ListenError ? new UnfitError([error.message]) : error;
  };
  const { refusals } = connections;
  const ops = await openOps({ config, redis, refusals, keys, version, heartbeat, log }).catch(unheld);
  const lookup = createUserLookup({
    ...{ redis, keys },
    whyNot: config.api.form === 'hosted' ? 'IMSYNC_API=hosted has no call for it' : 'the worker is starting',
  });
  const openIntakeIfWanted = async (): Promise<Intake | undefined> => {
    const { port } = config.intake;
    if (port === null) return undefined;
    // The only one that needs a web framework, which takes its time to load.
    const { openIntake } = await import('../http-intake/open-intake.ts');
    return openIntake({
      config: { ...config, intake: { ...config.intake, port } },
      memory: createMemoryWatermark(redis, keys),
      registry: ops.registry,
      findUser: (userId) => lookup.find(userId),
      ...{ readFile, version, heartbeat, log },
    });
  };
  const intake = await openIntakeIfWanted().catch(async (error: unknown) => {
    await ops.close();
    return unheld(error);
  });
  return {
    ...{ ops, intake, lookup },
    async close() {
      heartbeat.close();
      await ops.close();
    },
  };
}
