import type { Cluster } from 'ioredis';
import type { RedisClient } from '../../redis/connect.ts';

/**
 * How BullMQ gets along with a Redis that refuses.
 *
 * Redis at its memory limit refuses a script at its first command that may need memory, unless the script has
 * written already. Most of BullMQ's begin so, though what they do serves to free memory: without a harmless write
 * before it a full Redis would never drain (docs/decisions/0050).
 *
 * BullMQ's worker asks for its next job again at once when Redis answers with an error: thousands of times a
 * second, whatever refuses (a full disk, a replica, an ACL). So here a refusal is passed on late.
 */
const FIRST_WRITE = "redis.call('DEL', KEYS[1] .. ':nothing')\n";
const ASK_AGAIN_MS = 500;

/** Those that move calls on. None that a backlog could grow by. */
const MOVING: ReadonlySet<string> = new Set([
  'addDelayedJob',
  'addStandardJob',
  'extendLock',
  'extendLocks',
  'moveJobFromActiveToWait',
  'moveStalledJobsToWait',
  'moveToActive',
  'moveToDelayed',
  'moveToFinished',
  'retryJob',
]);
/** The one that the worker's loop asks with. */
const ASKING = 'moveToActive';

type Run = (...args: unknown[]) => Promise<unknown>;

const prepared = new WeakSet<RedisClient>();

/** To be called before BullMQ is given the connection. Twice is once. */
export function getsAlongWhenRefused(connection: RedisClient): RedisClient {
  if (prepared.has(connection)) return connection;
  prepared.add(connection);
  if (connection.isCluster) failsSoonWhenBlocked(connection as Cluster);
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, definition) => {
    // BullMQ adds its version: `moveToActive:6.7.0`. A line before a `#!` would not be understood.
    const [script = ''] = name.split(':');
    const isMoving = MOVING.has(script) && !definition.lua.startsWith('#!');
    define(name, isMoving ? { ...definition, lua: FIRST_WRITE + definition.lua } : definition);
    if (script === ASKING) refusesLate(connection as unknown as Record<string, Run>, name);
  };
  return connection;
}

/**
 * BullMQ blocks on a duplicate of the connection, with a watchdog of six seconds that closes it. Closing a cluster
 * connection to a node that is gone may never end, and then no job is fetched any more. So a blocked command fails
 * well before the watchdog, though a loop's commands outlast a failover; BullMQ then blocks anew.
 */
function failsSoonWhenBlocked(connection: Cluster): void {
  const duplicate = connection.duplicate.bind(connection);
  connection.duplicate = (nodes, options) => duplicate(nodes, { ...options, maxRedirections: 10 });
}

function refusesLate(connection: Record<string, Run>, name: string): void {
  const run = connection[name]?.bind(connection);
  if (run === undefined) return;
  connection[name] = async (...args) => {
    try {
      return await run(...args);
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      throw error;
    }
  };
}
