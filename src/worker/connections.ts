import { type Config, ConfigError, type ReadFile, refuseOn } from '../config/config.ts';
import type { Logger } from '../logging/log.ts';
import { createRedisLog } from '../logging/redis-log.ts';
import {
  type ConnectionChange,
  closeRedis,
  isTurnedAway,
  openRedis,
  type RedisClient,
  whenReady,
} from '../redis/connect.ts';
import { isDatabaseRefused, isDatabaseWrong } from '../redis/database.ts';
import type { Keys } from '../redis/keys.ts';
import type { ConnectionRole } from '../redis/options.ts';
import { writeNothing } from '../redis/owner.ts';
import { readServerFacts, redisAdvice, redisProblems } from '../redis/requirements.ts';
import { redisAddress, redisSettings } from '../redis/settings.ts';

/** A dependency did not answer at the start. */
export class OutOfReachError extends Error {
  override readonly name = 'OutOfReachError';
}

/** What a worker has open to Redis, and what it logs about it. */
export type Connections = Awaited<ReturnType<typeof openConnections>>;

const REDIS_START_MS = 10_000;

/**
 * Connects, and checks whether this Redis may be used: a missing right or a replica is better reported once
 * now than by every loop. Rejects with OutOfReachError or ConfigError, and then leaves nothing open.
 */
export async function openConnections(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly keys: Keys;
  readonly log: Logger;
}) {
  const { config, readFile, keys } = options;
  const settings = redisSettings(config, readFile);
  const log = createRedisLog(options.log);
  const refused = new Map<string, string>();
  const open = (role: ConnectionRole, name: string, onChange = refusalLog(log, name)): RedisClient =>
    openRedis(settings, role, name, (change) => {
      if (change.state === 'lost' && isTurnedAway(change.reason)) refused.set(name, change.reason);
      else refused.delete(name);
      onChange(change);
    });
  // All connect at once: each takes several round trips, and more with TLS.
  const connections = {
    /** Shared by all loops. Its changes are logged for all connections. */
    commands: open('loop', 'commands', log.connection),
    /** Used by the servers: fails at once while Redis is away. */
    ops: open('oneshot', 'ops'),
    /** Subscribed to the news of holds and pauses. */
    watch: open('loop', 'watch'),
    intake: open('loop', 'intake'),
  };
  const close = async (): Promise<void> => {
    await Promise.all(Object.values(connections).map(closeRedis));
  };
  try {
    const serverVersion = await examine(connections.commands, keys, config);
    /** Why connections cannot be made again: Redis does not give them the database, or a place. [] when they can. */
    const refusals = (): string[] => [...new Set(refused.values())];
    return { ...connections, log, refusals, serverVersion, close };
  } catch (error) {
    log.close();
    await close();
    throw error;
  }
}

/** Resolves to the version of Redis if a worker may use it. */
async function examine(redis: RedisClient, keys: Keys, config: Config): Promise<string> {
  await whenReady(redis, REDIS_START_MS).catch(({ message }: Error) => {
    const what = isDatabaseRefused(message) ? 'Redis refused' : 'Redis cannot be reached';
    const problem = `${what} at ${redisAddress(config)}: ${message}. ${redisAdvice(message, config)}`;
    throw isDatabaseWrong(message) ? new ConfigError([problem]) : new OutOfReachError(problem);
  });
  const facts = await writeNothing(redis, keys)
    .then(() => readServerFacts(redis, keys))
    .catch(({ message }: Error) => {
      throw new OutOfReachError(`Redis refused: ${message}. ${redisAdvice(message, config)}`);
    });
  refuseOn(redisProblems(facts, config.redis.allowVolatile));
  return facts.version;
}

/** One connection may be refused alone: a right that was taken away counts when it is next made. */
function refusalLog(
  log: ReturnType<typeof createRedisLog>,
  name: string,
): (change: ConnectionChange) => void {
  const say = log.trouble(`the connection "${name}" to Redis`);
  return (change) => {
    if (change.state === 'lost' && isDatabaseRefused(change.reason)) say(new Error(change.reason));
  };
}
