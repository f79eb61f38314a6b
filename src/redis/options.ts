import type { NatMap, RedisOptions } from 'ioredis';
import { databaseOf } from './database.ts';

/**
 * Where Redis is and how to log in.
 *
 * @example
 * const redis: Partial<RedisSettings> = { url: 'rediss://backend@redis:6380', password };
 */
export interface RedisSettings {
  /**
   * `redis://[user[:password]@]host[:port][/database]`; `rediss://` speaks TLS. A name is connected to by IPv6
   * and IPv4; `?family=6` leaves one of them. Or a socket: `unix:///path[?db=database]`.
   */
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
  /** It wins over the user in `url`. */
  readonly username?: string;
  /** The sentinels' own login; the primary's is not used for them. */
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  /** Whether the sentinels speak TLS, with the same certificates as Redis. */
  readonly sentinelTls?: boolean;
  /** The client certificate and its key as PEM texts, for a Redis that wants them (mTLS). */
  readonly cert?: string;
  readonly key?: string;
  /** The name that TLS asks for and that the certificate must be for. Default: the host. */
  readonly serverName?: string;
  /** Cluster and sentinel behind NAT: where an announced `host:port` is reached from here. */
  readonly nodeMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
}

/**
 * The purpose of a connection.
 * - `loop`: for a worker. Commands wait until Redis is back, without a limit.
 * - `oneshot`: for a producer or a verb. Commands fail at once while Redis is away, for the caller to report.
 */
export type ConnectionRole = 'loop' | 'oneshot';

/**
 * A connection is dead if a command has had no answer for this long: packets vanish, or a middlebox keeps the
 * connection open and carries nothing. TCP alone would notice after a quarter of an hour. It is more than the
 * longest block (BullMQ's, 10 s), so that a connection that only waits survives.
 */
export const DEAD_AFTER_MS = 15_000;

/** Options for ioredis. Throws a RangeError if the address does not name a usable database. */
export function redisOptions(settings: RedisSettings, role: ConnectionRole, name: string): RedisOptions {
  const url = new URL(settings.url);
  const tls = tlsOf(settings);
  const isSecure = url.protocol === 'rediss:';
  const username = settings.username || decodeURIComponent(url.username);
  const password = settings.password || decodeURIComponent(url.password);
  const shared: RedisOptions = {
    connectionName: `imsync-${name}`,
    db: databaseOf(url, settings.mode),
    ...(username && { username }),
    ...(password && { password }),
    ...(isSecure && { tls }),
    // Some managed Redis services only speak RESP2, and nothing here needs RESP3.
    protocol: 2,
    // 0: both.
    family: Number(url.searchParams.get('family') ?? 0),
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
    const { sentinelUsername, sentinelPassword } = settings;
    return {
      ...shared,
      sentinels: settings.nodes.map(({ host, port }) => ({ host, port })),
      name: settings.sentinelName,
      // Without it ioredis would reach the primary that sentinels name without TLS.
      enableTLSForSentinelMode: isSecure,
      ...(sentinelUsername && { sentinelUsername }),
      ...(sentinelPassword && { sentinelPassword }),
      ...(settings.sentinelTls && { sentinelTLS: tls }),
      ...natMapOf(settings),
      // A sentinel that accepts connections and never answers: ioredis then asks the next one.
      sentinelCommandTimeout: 2_000,
    };
  }
  if (url.protocol === 'unix:') return { ...shared, path: decodeURIComponent(url.pathname) };
  return {
    ...shared,
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(url.port || 6379),
  };
}

function tlsOf({ ca, cert, key, serverName }: RedisSettings) {
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(serverName && { servername: serverName }),
  };
}

/** What is not in the map is reached as it is announced. */
export function natMapOf({ nodeMap }: RedisSettings): { natMap?: NatMap } {
  return nodeMap === undefined || Object.keys(nodeMap).length === 0 ? {} : { natMap: { ...nodeMap } };
}
