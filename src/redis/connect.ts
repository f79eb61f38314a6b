import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { databaseOf, isDatabaseRefused, staysInDatabase } from './database.ts';
import { oneWriteATurn } from './one-write.ts';

export type RedisClient = Redis | Cluster;

/** Where Redis is and how to log in. `ca` is the text of a PEM file, '' for the system's authorities. */
export interface RedisSettings {
  readonly url: string;
  readonly mode: 'standalone' | 'cluster' | 'sentinel';
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly sentinelName: string;
  readonly password: string;
  readonly ca: string;
}

/**
 * What a connection is for.
 * - `loop`: of a worker. Commands wait for Redis to come back, however long.
 * - `oneshot`: of a producer or a verb. Commands fail at once while Redis is away, so that the caller can tell.
 */
export type ConnectionRole = 'loop' | 'oneshot';

/**
 * Told on change only: a Redis that is away for an hour is one `lost`, not a line per attempt to connect. One that is
 * back without the database asked for is one more.
 */
export type ConnectionChange =
  | { readonly state: 'reachable' }
  | { readonly state: 'lost'; readonly reason: string };

/** A replica that is taken for the primary: sought anew at first after this, doubling up to the greatest. */
const SEEK_AGAIN_MS = { first: 500, most: 30_000 };
const SEEK_CALM_MS = 120_000;

/**
 * After a failover the name, or the sentinels, lead to another server while the connection stands to the old one,
 * now a replica. It is made anew, now and then, until a primary answers; loops' commands are sent again there.
 */
function reconnectWhenDemoted(role: ConnectionRole): (error: Error) => boolean | 1 | 2 {
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
    return role === 'loop' ? 2 : 1;
  };
}

/** How long a connection that carries nothing is believed in. */
export interface Patience {
  /**
   * A command that has had no answer for so long has none to come: packets vanish, or what stands between lets the
   * connection stand and carries nothing. TCP alone would take a quarter of an hour to give it up. More than the
   * longest block (BullMQ's, 10 s), so that a connection that merely waits is not torn down. ioredis makes it anew and
   * sends a loop's commands again there, as after every loss.
   */
  readonly deadAfterMs: number;
  /** One that only listens sends nothing, and would never find out: it asks now and then. */
  readonly listenerAsksEveryMs: number;
}

export const PATIENCE: Patience = { deadAfterMs: 15_000, listenerAsksEveryMs: 5_000 };

/** Settings that the BullMQ connections share with ours. Throws a RangeError for a database that cannot be meant. */
export function redisOptions(
  settings: RedisSettings,
  role: ConnectionRole,
  name: string,
  { deadAfterMs }: Patience = PATIENCE,
): RedisOptions {
  const url = new URL(settings.url);
  const tls = url.protocol === 'rediss:' ? { ...(settings.ca && { ca: settings.ca }) } : undefined;
  const password = settings.password || decodeURIComponent(url.password);
  const shared: RedisOptions = {
    connectionName: `imsync-${name}`,
    db: databaseOf(url, settings.mode),
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(password && { password }),
    ...(tls && { tls }),
    // Some managed Redis speak RESP2 only, and nothing here needs RESP3.
    protocol: 2,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    socketTimeout: deadAfterMs,
    // A connection that is being closed is given up after this, and no process lives longer for it.
    disconnectTimeout: 500,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
    reconnectOnError: reconnectWhenDemoted(role),
    ...(role === 'loop'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 10_000 }),
  };
  if (settings.mode === 'sentinel') {
    return {
      ...shared,
      sentinels: settings.nodes.map(({ host, port }) => ({ host, port })),
      name: settings.sentinelName,
      // One that takes connections and says nothing: the next one is asked.
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
 * Opens a connection; it connects by itself and again after every loss. `onChange` hears of it once a change.
 * It is in the database of the settings whenever it stands; throws a RangeError for one that cannot be meant.
 * The only place of the project that opens one (BullMQ is given connections made here).
 */
export function openRedis(
  settings: RedisSettings,
  role: ConnectionRole,
  name: string,
  onChange: (change: ConnectionChange) => void,
  patience: Patience = PATIENCE,
): RedisClient {
  const options = redisOptions(settings, role, name, patience);
  const { reconnectOnError } = options;
  // Why the connection is about to be closed, by us: it leads to a replica.
  let demotedBy = '';
  options.reconnectOnError = (error) => {
    const again = reconnectOnError?.(error) ?? false;
    if (again !== false) demotedBy = error.message;
    return again;
  };
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
  if (client instanceof Redis) client.on('connect', () => oneWriteATurn(client.stream));
  client.on('error', (error: Error) => lost(reasonOf(error, patience)));
  client.on('close', () => {
    if (state === 'reachable') lost(demotedBy || 'the connection was closed');
  });
  return client;
}

function reasonOf(error: Error, { deadAfterMs } = PATIENCE): string {
  if (error.message.startsWith('Socket timeout'))
    return `no answer for ${deadAfterMs / 1_000} s: the connection is taken for dead and made anew`;
  return error.message || String((error as NodeJS.ErrnoException).code);
}

/**
 * Subscribes, and sees to it that a subscription whose connection died in silence stands on a new one within 20 s.
 * Rejects as `subscribe` does. (On Cluster the subscriber is ioredis's own, and cannot be asked.)
 */
export async function listenOn(
  client: RedisClient,
  channel: string,
  { listenerAsksEveryMs } = PATIENCE,
): Promise<void> {
  await client.subscribe(channel);
  if (!(client instanceof Redis)) return;
  const timer = setInterval(() => {
    // What it finds is the connection's business: the time-out above, or an error that is told there.
    if (client.status === 'ready') client.ping().catch(() => undefined);
  }, listenerAsksEveryMs).unref();
  client.once('end', () => clearInterval(timer));
}

/** How long a failover of a cluster may take before commands fail, and how often they are tried meanwhile. */
const FAILOVER_MS = 30_000;
const FAILOVER_LOOK_MS = 200;

function openCluster(settings: RedisSettings, options: RedisOptions, role: ConnectionRole): Cluster {
  const { host, port, db: _db, ...redisOptionsOfNodes } = options;
  const nodes = settings.nodes.length > 0 ? [...settings.nodes] : [{ host, port }];
  return new Cluster(nodes, {
    redisOptions: redisOptionsOfNodes,
    // A failover takes longer than ioredis would go on asking, 16 times 100 ms. A loop's commands wait for its end.
    ...(role === 'loop' && { maxRedirections: FAILOVER_MS / FAILOVER_LOOK_MS }),
    retryDelayOnFailover: FAILOVER_LOOK_MS,
    retryDelayOnClusterDown: FAILOVER_LOOK_MS,
    retryDelayOnTryAgain: FAILOVER_LOOK_MS,
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    clusterRetryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  });
}

/**
 * Resolves when the client can take commands; rejects with the last reason after `timeoutMs`, and at once where Redis
 * does not give the database: waiting would not change that.
 */
export function whenReady(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    let reason = 'no answer';
    const done = (end: () => void): void => {
      clearTimeout(timer);
      client.off('ready', onReady);
      client.off('error', onError);
      end();
    };
    const onReady = (): void => done(resolve);
    const onError = (error: Error): void => {
      reason = reasonOf(error);
      if (isDatabaseRefused(reason)) done(() => reject(error));
    };
    const timer = setTimeout(() => done(() => reject(new Error(reason))), timeoutMs);
    client.on('ready', onReady);
    client.on('error', onError);
  });
}

/** Says goodbye; a Redis that is away is not waited for. Never rejects. */
export async function closeRedis(client: RedisClient): Promise<void> {
  if (client.status !== 'ready') {
    client.disconnect();
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 1_000);
  });
  // A connection that breaks while it is being closed is closed all the same.
  await Promise.race([client.quit().catch(() => undefined), tooLong]);
  clearTimeout(timer);
  // One that is closed already would be waited for, as long as it may take to close one.
  if (!isClosed(client)) client.disconnect();
}

function isClosed({ status }: RedisClient): boolean {
  return status === 'end';
}
