import type { Config, ReadFile } from '../config/config.ts';
import type { Logger } from '../logging/log.ts';
import { createRedisLog } from '../logging/redis-log.ts';
import {
  type ConnectionChange,
  type ConnectionRole,
  closeRedis,
  openRedis,
  type RedisClient,
  whenReady,
} from '../redis/connect.ts';
import { isDatabaseRefused, isDatabaseWrong } from '../redis/database.ts';
import type { Keys } from '../redis/keys.ts';
import { writeNothing } from '../redis/owner.ts';
import { readServerFacts, redisAdvice, redisProblems } from '../redis/requirements.ts';
import { redisSettings } from '../redis/settings.ts';
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
  /** Why connections that were made anew cannot be used: Redis does not give them the database. [] when none is. */
  refusals(): string[];
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
  const refused = new Map<string, string>();
  const open = (role: ConnectionRole, name: string, onChange = sayRefusal(log, name)): RedisClient =>
    openRedis(settings, role, name, (change) => {
      if (change.state === 'lost' && isDatabaseRefused(change.reason)) refused.set(name, change.reason);
      else refused.delete(name);
      onChange(change);
    });
  const commands = open('loop', 'commands', log.connection);
  const ops = open('oneshot', 'ops');
  const watch = open('loop', 'watch');
  const intake = open('loop', 'intake');
  const close = async (): Promise<void> => {
    await Promise.all([commands, ops, watch, intake].map(closeRedis));
  };
  const examined = async (): Promise<string> => {
    await whenReady(commands, REDIS_START_MS).catch(({ message }: Error) => {
      const what = isDatabaseRefused(message) ? 'Redis refused' : 'Redis cannot be reached';
      const problem = `${what}: ${message}. ${redisAdvice(message)}`;
      throw isDatabaseWrong(message) ? new UnfitError([problem]) : new OutOfReachError(problem);
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
    const refusals = (): string[] => [...new Set(refused.values())];
    return { commands, ops, watch, intake, log, refusals, close, serverVersion: await examined() };
  } catch (error) {
    log.close();
    await close();
    throw error;
  }
}

/**
 * One connection speaks for all. But a database can be taken from one alone: a right that was taken away counts at its
 * next making.
 */
function sayRefusal(log: Connections['log'], name: string): (change: ConnectionChange) => void {
  const say = log.trouble(`the connection "${name}" to Redis`);
  return (change) => {
    if (change.state === 'lost' && isDatabaseRefused(change.reason)) say(new Error(change.reason));
  };
}
