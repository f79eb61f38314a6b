import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { databaseOf, isDatabaseRefused, staysInDatabase } from './database.ts';

export type RedisClient = Redis | Cluster;

/**
 * Where Redis is and how to log in.
 *
 * @example
 * const redis: Partial<RedisSettings> = { url: 'rediss://backend@redis:6380', password };
 */
export interface RedisSettings {
  /** `redis://[user[:password]@]host[:port][/database]`; `rediss://` speaks TLS. */
  readonly url: string;
  readonly mode: 'standalone' | 'cluster' | 'sentinel';
  /** Cluster: nodes to start from; none means the host of `url`. Sentinel: the sentinels. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Sentinel: the name of the primary. */
  readonly sentinelName: string;
  /** It wins over the password in `url`. '' means none. */
  readonly password: string;
  /** The CA certificates as PEM text. '' means the system's authorities. */
  readonly ca: string;
}

/**
 * The purpose of a connection.
 * - `loop`: for a worker. Commands wait until Redis is back, without a limit.
 * - `oneshot`: for a producer or a verb. Commands fail at once while Redis is away, for the caller to report.
 */
export type ConnectionRole = 'loop' | 'oneshot';

/**
 * A change of the connection. A Redis that is away for an hour gives one `lost`, not one per attempt to
 * connect. One that comes back and refuses the database gives one more.
 */
export type ConnectionChange =
  | { readonly state: 'reachable' }
  | { readonly state: 'lost'; readonly reason: string };

/** Pause between two searches for the primary: it starts at `first` and doubles up to `most`. */
const SEEK_AGAIN_MS = { first: 500, most: 30_000 };
/** After this long without a READONLY error, the pause starts at `first` again. */
const SEEK_CALM_MS = 120_000;

/**
 * After a failover the connection still leads to the old server, which is a replica now. This reconnects at
 * growing intervals until a primary answers. ioredis then repeats a loop's command (2); a verb's fails (1).
 */
export function reconnectWhenDemoted(
  role: ConnectionRole,
  onLeave: (reason: string) => void,
): (error: Error) => boolean | 1 | 2 {
  let waitMs = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (!error.message.includes('READONLY')) return false;
    const sinceMs = performance.now() - lastMs;
    if (sinceMs < waitMs) return false;
    waitMs =
      sinceMs > SEEK_CALM_MS
        ? SEEK_AGAIN_MS.first
        : Math.min(SEEK_AGAIN_MS.most, Math.max(SEEK_AGAIN_MS.first, 2 * waitMs));
    lastMs = performance.now();
    onLeave(error.message);
    return role === 'loop' ? 2 : 1;
  };
}

/**
 * A connection is dead if a command has had no answer for this long: packets vanish, or a middlebox keeps the
 * connection open and carries nothing. TCP alone would notice after a quarter of an hour. It is more than the
 * longest block (BullMQ's, 10 s), so that a connection that only waits survives.
 */
export const DEAD_AFTER_MS = 15_000;
/** A connection that only listens sends nothing and would never notice. It sends a PING this often. */
export const LISTENER_ASKS_EVERY_MS = 5_000;

/** Options for ioredis. Throws a RangeError if the address does not name a usable database. */
export function redisOptions(settings: RedisSettings, role: ConnectionRole, name: string): RedisOptions {
  const url = new URL(settings.url);
  const tls = url.protocol === 'rediss:' && { ...(settings.ca && { ca: settings.ca }) };
  const password = settings.password || decodeURIComponent(url.password);
  const shared: RedisOptions = {
    connectionName: `imsync-${name}`,
    db: databaseOf(url, settings.mode),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(password && { password }),
    ...(tls && { tls }),
    // Some managed Redis services only speak RESP2, and nothing here needs RESP3.
    protocol: 2,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    socketTimeout: DEAD_AFTER_MS,
    // Longest wait for a connection to close. No process lives longer because of it.
    disconnectTimeout: 500,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
    ...(role === 'loop'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 10_000 }),
  };
  if (settings.mode === 'sentinel') {
    return {
      ...shared,
      sentinels: settings.nodes.map(({ host, port }) => ({ host, port })),
      name: settings.sentinelName,
      // A sentinel that accepts connections and never answers: ioredis then asks the next one.
      sentinelCommandTimeout: 2_000,
    };
  }
  return {
    ...shared,
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(url.port || 6379),
  };
}

/**
 * Opens a connection, which connects by itself and again after every loss. Once it is ready it is in the
 * database of the settings. Throws a RangeError if the address does not name a usable one. Nothing else in
 * the project opens connections; BullMQ gets those made here.
 */
export function openRedis(
  settings: RedisSettings,
  role: ConnectionRole,
  name: string,
  onChange: (change: ConnectionChange) => void,
): RedisClient {
  const options = redisOptions(settings, role, name);
  // The error because of which the connection is closed: it leads to a replica.
  let demotedBy = '';
  options.reconnectOnError = reconnectWhenDemoted(role, (reason) => {
    demotedBy = reason;
  });
  const client =
    settings.mode === 'cluster' ? openCluster(settings, options, role) : staysInDatabase(new Redis(options));
  let state: ConnectionChange['state'] | 'new' | 'refused' = 'new';
  const lost = (reason: string): void => {
    const now = isDatabaseRefused(reason) ? 'refused' : 'lost';
    if (state === now || state === 'refused') return;
    state = now;
    onChange({ state: 'lost', reason });
  };
  client.on('ready', () => {
    demotedBy = '';
    if (state === 'reachable') return;
    state = 'reachable';
    onChange({ state });
  });
  client.on('error', (error: Error) => lost(reasonOf(error)));
  client.on('close', () => {
    if (state === 'reachable') lost(demotedBy || 'the connection was closed');
  });
  return client;
}

function reasonOf(error: Error): string {
  if (error.message.startsWith('Socket timeout'))
    return `no answer for ${DEAD_AFTER_MS / 1_000} s: the connection is considered dead and made again`;
  return error.message || String((error as NodeJS.ErrnoException).code);
}

/**
 * Subscribes to a channel. If the connection dies silently, the subscription is on a new one within 20 s. (On
 * Cluster, ioredis owns the subscriber's connection, which cannot be pinged.)
 */
export async function listenOn(client: RedisClient, channel: string): Promise<void> {
  await client.subscribe(channel);
  if (!(client instanceof Redis)) return;
  const timer = setInterval(() => {
    // A failed PING needs no handling: the time-out above closes the connection and reports it.
    if (client.status === 'ready') client.ping().catch(() => undefined);
  }, LISTENER_ASKS_EVERY_MS).unref();
  client.once('end', () => clearInterval(timer));
}

/** Longest failover of a cluster that commands wait for, and the pause between two tries. */
const FAILOVER_MS = 30_000;
const FAILOVER_LOOK_MS = 200;

function openCluster(settings: RedisSettings, options: RedisOptions, role: ConnectionRole): Cluster {
  const { host, port, db: _db, ...redisOptions } = options;
  const nodes = settings.nodes.length > 0 ? [...settings.nodes] : [{ host, port }];
  return new Cluster(nodes, {
    redisOptions,
    // ioredis tries 16 times every 100 ms, less than a failover takes. A loop's commands wait longer.
    ...(role === 'loop' && { maxRedirections: FAILOVER_MS / FAILOVER_LOOK_MS }),
    retryDelayOnFailover: FAILOVER_LOOK_MS,
    retryDelayOnClusterDown: FAILOVER_LOOK_MS,
    retryDelayOnTryAgain: FAILOVER_LOOK_MS,
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    clusterRetryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  });
}

/**
 * Resolves when the client can take commands. Rejects with the last reason after `timeoutMs`, and at once if
 * Redis refuses the database, since waiting would not change that.
 */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === 'ready') return;
  let reason = 'no answer';
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      client.off('error', note).off('ready', end);
      resolve();
    };
    // A refusal counts at once: the next attempt would leave commands of this one behind, with their timers.
    const note = (error: Error): void => {
      reason = reasonOf(error);
      if (isDatabaseRefused(reason)) end();
    };
    const timer = setTimeout(end, timeoutMs);
    client.on('error', note).on('ready', end);
  });
  if ((client.status as string) !== 'ready') throw new Error(reason);
}

/** Closes the connection. It waits at most 1 s, and not at all if Redis is away or it is closed. Never rejects. */
export async function closeRedis(client: RedisClient): Promise<void> {
  if (client.status === 'end') return;
  if (client.status === 'ready') {
    // A connection that breaks during QUIT is closed as well.
    await Promise.race([client.quit().catch(() => undefined), sleep(1_000, undefined, { ref: false })]);
    // disconnect() on a closed connection would wait for `disconnectTimeout`.
    if ((client.status as string) === 'end') return;
  }
  client.disconnect();
}
