import type { Cluster } from 'ioredis';
import type { RedisClient } from '../../redis/connect.ts';

/**
 * Lets BullMQ work with a Redis that refuses commands.
 *
 * Redis at its memory limit refuses a script at its first command that may need memory, unless the script has
 * written already. Most of BullMQ's scripts begin with such a command, though their work frees memory.
 * Without a harmless write before it a full Redis would never drain (docs/decisions/0050).
 *
 * When Redis answers with an error, BullMQ's worker asks for its next job again at once: thousands of times a
 * second, whatever the reason (a full disk, a replica, an ACL). So the error is passed on after half a
 * second.
 */
const FIRST_WRITE = "redis.call('DEL', KEYS[1] .. ':nothing')\n";
const ASK_AGAIN_MS = 500;

/** The scripts that move calls on. None of them can make a backlog grow. */
export const MOVING: ReadonlySet<string> = new Set([
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
/** The script with which the worker's loop asks for a job. */
const ASKING = 'moveToActive';

type Run = (...args: unknown[]) => Promise<unknown>;

const prepared = new WeakSet<RedisClient>();

/** To be called before BullMQ gets the connection. A second call changes nothing. */
export function prepareForBullmq(connection: RedisClient): RedisClient {
  if (prepared.has(connection)) return connection;
  prepared.add(connection);
  if (connection.isCluster) failSoonWhenBlocked(connection as Cluster);
  const define = connection.defineCommand.bind(connection);
  connection.defineCommand = (name, definition) => {
    // BullMQ appends its version: `moveToActive:6.7.0`. Redis wants a `#!` in the first line, so nothing goes
    // before it.
    const [script = ''] = name.split(':');
    const isMoving = MOVING.has(script) && !definition.lua.startsWith('#!');
    define(name, isMoving ? { ...definition, lua: FIRST_WRITE + definition.lua } : definition);
    if (script === ASKING) delayErrors(connection as unknown as Record<string, Run>, name);
  };
  return connection;
}

/**
 * BullMQ blocks on a duplicate of the connection, and its watchdog closes that after 6 s. Closing a cluster
 * connection to a node that is gone may never end; then no job would be fetched any more. So a blocked
 * command fails well before the watchdog, though other commands of a loop outlast a failover. BullMQ then
 * blocks again.
 */
function failSoonWhenBlocked(connection: Cluster): void {
  const duplicate = connection.duplicate.bind(connection);
  connection.duplicate = (nodes, options) => duplicate(nodes, { ...options, maxRedirections: 10 });
}

function delayErrors(connection: Record<string, Run>, name: string): void {
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
