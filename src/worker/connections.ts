import type { Config } from '../config/config.ts';
import type { ReadFile } from '../config/read-file.ts';
import { redisAdvice } from '../redis/advice.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { writeNothing } from '../redis/owner.ts';
import { readServerFacts, redisProblems } from '../redis/requirements.ts';
import { redisSettings } from '../redis/settings.ts';
import type { Logger } from '../server/log.ts';
import { createRedisLog } from '../server/redis-log.ts';
import { OutOfReachError, UnfitError } from './start-errors.ts';

/** What a worker has open to Redis, and what it says about it. */
export interface Connections {
  /** Of all loops. */
  readonly commands: RedisClient;
  /** Of those who look in from outside: fails at once while Redis is away. */
  readonly ops: RedisClient;
  /** Subscribed to the news of holds and pauses. */
  readonly watch: RedisClient;
  /** Blocks on the stream. */
  readonly intake: RedisClient;
  readonly log: ReturnType<typeof createRedisLog>;
  readonly serverVersion: string;
  close(): Promise<void>;
}

const REDIS_START_MS = 10_000;

/**
 * Connects, and looks whether this Redis may be used: a user without the rights, or a replica, is better said now
 * than by every loop. Rejects with OutOfReachError or UnfitError, and leaves nothing open then.
 */
export async function openConnections(options: {
  readonly config: Config;
  readonly readFile: ReadFile;
  readonly keys: Keys;
  readonly log: Logger;
}): Promise<Connections> {
  const { config, readFile, keys } = options;
  const settings = redisSettings(config, readFile);
  const log = createRedisLog(options.log);
  // All at once: each takes several round trips, with TLS more. One speaks for all.
  const commands = openRedis(settings, 'loop', 'commands', log.connection);
  const ops = openRedis(settings, 'oneshot', 'ops', () => undefined);
  const watch = openRedis(settings, 'loop', 'watch', () => undefined);
  const intake = openRedis(settings, 'loop', 'intake', () => undefined);
  const close = async (): Promise<void> => {
    await Promise.all([commands, ops, watch, intake].map(closeRedis));
  };
  const examined = async (): Promise<string> => {
    await whenReady(commands, REDIS_START_MS).catch(({ message }: Error) => {
      throw new OutOfReachError(`Redis cannot be reached: ${message}. ${redisAdvice(message)}`);
    });
    const facts = await writeNothing(commands, keys)
      .then(() => readServerFacts(commands, keys))
      .catch(({ message }: Error) => {
        throw new OutOfReachError(`Redis refused: ${message}. ${redisAdvice(message)}`);
      });
    const problems = redisProblems(facts, config.redis.allowVolatile);
    if (problems.length > 0) throw new UnfitError(problems);
    return facts.version;
  };
  try {
    return { commands, ops, watch, intake, log, close, serverVersion: await examined() };
  } catch (error) {
    log.close();
    await close();
    throw error;
  }
}
