import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { isDatabaseRefused, staysInDatabase } from './database.ts';
import { firstWords } from './first-words.ts';
import {
  fillsInEmptyHosts,
  goesOnWithoutInfo,
  leavesNothingBehind,
  namesErrorsOfSentinels,
} from './ioredis-gaps.ts';
import { type ConnectionRole, DEAD_AFTER_MS, natMapOf, type RedisSettings, redisOptions } from './options.ts';

export type RedisClient = Redis | Cluster;

/**
 * A change of the connection. A Redis that is away for an hour gives one `lost`, not one per attempt to
 * connect. One that is there and turns us away (`isTurnedAway`) gives one more.
 */
export type ConnectionChange =
  | { readonly state: 'reachable' }
  | { readonly state: 'lost'; readonly reason: string };

/** Whether Redis is there and does not let us in. Waiting alone does not help then. */
export function isTurnedAway(reason: string): boolean {
  return isDatabaseRefused(reason) || /max number of clients|protected mode/i.test(reason);
}

/** A connection that leads to a replica is closed within this time. */
const DEMOTED_CLOSES_MS = 500;

/** While a connection is closed at each attempt, Redis is asked at most this often for what it says. */
const ASK_WHY_EVERY_MS = 30_000;

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

/** A connection that only listens sends nothing and would never notice. It sends a PING this often. */
export const LISTENER_ASKS_EVERY_MS = 5_000;

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
  // The error because of which the connection is closed: it leads to a replica. BullMQ's duplicates share this
  // function, so it may be one of them that closes: then the error says nothing of a later loss.
  let demoted = { by: '', atMs: Number.NEGATIVE_INFINITY };
  options.reconnectOnError = reconnectWhenDemoted(role, (reason) => {
    demoted = { by: reason, atMs: performance.now() };
  });
  const demotedBy = (): string => (performance.now() - demoted.atMs < DEMOTED_CLOSES_MS ? demoted.by : '');
  const client =
    settings.mode === 'cluster'
      ? openCluster(settings, options, role)
      : namesErrorsOfSentinels(goesOnWithoutInfo(leavesNothingBehind(staysInDatabase(new Redis(options)))));
  let state: ConnectionChange['state'] | 'new' | 'refused' = 'new';
  const lost = (reason: string): void => {
    const now = isTurnedAway(reason) ? 'refused' : 'lost';
    if (state === now || state === 'refused') return;
    state = now;
    onChange({ state: 'lost', reason });
  };
  client.on('ready', () => {
    demoted = { ...demoted, by: '' };
    if (state === 'reachable') return;
    state = 'reachable';
    onChange({ state });
  });
  let askedAtMs = Number.NEGATIVE_INFINITY;
  const askWhy = async (): Promise<void> => {
    if (!hasAddress(client) || performance.now() - askedAtMs < ASK_WHY_EVERY_MS) return;
    askedAtMs = performance.now();
    const words = await firstWords(client.options);
    if (state !== 'reachable' && isTurnedAway(words)) lost(words);
  };
  client.on('error', (error: Error) => {
    const reason = reasonOf(error);
    lost(reason);
    if (state === 'lost' && ENDED.test(reason)) void askWhy();
  });
  client.on('close', () => {
    if (state === 'reachable') lost(demotedBy() || 'the connection was closed');
  });
  return client;
}

/** What happened, in the words of its cause: ioredis and Node wrap some errors in others that say less. */
function reasonOf(error: Error): string {
  const { message } = error;
  if (message.startsWith('Socket timeout'))
    return `no answer for ${DEAD_AFTER_MS / 1_000} s: the connection is considered dead and made again`;
  // The last of a cluster's nodes that was asked.
  const { lastNodeError, errors } = error as { lastNodeError?: Error; errors?: readonly Error[] };
  if (lastNodeError)
    return `no node of the cluster can be used, the last one says: ${reasonOf(lastNodeError)}`;
  // A name with several addresses, none of which answers.
  if (errors !== undefined && errors.length > 0) return errors.map((one) => one.message).join('; ');
  const [, ofTls] = /:SSL routines:[^:]*:([^:]+)/.exec(message) ?? [];
  return ofTls ?? (message.replace(/\.$/, '') || String((error as NodeJS.ErrnoException).code));
}

/** A primary that sentinels name has no address in the options. */
function hasAddress(client: RedisClient): client is Redis {
  return client instanceof Redis && !client.options.sentinels;
}

/** Words that only say that a connection ended, and not why. */
const ENDED =
  /^(no answer$|.*\b(ECONNRESET|EPIPE)\b|.*Connection is closed|.*the connection was closed|.*socket hang up)/;

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
  const cluster = new Cluster(nodes, {
    redisOptions,
    // A certificate is for a name. Node resolves it when it connects, to both families.
    dnsLookup: (address, callback) => callback(null, address),
    ...natMapOf(settings),
    // ioredis tries 16 times every 100 ms, less than a failover takes. A loop's commands wait longer.
    ...(role === 'loop' && { maxRedirections: FAILOVER_MS / FAILOVER_LOOK_MS }),
    retryDelayOnFailover: FAILOVER_LOOK_MS,
    retryDelayOnClusterDown: FAILOVER_LOOK_MS,
    retryDelayOnTryAgain: FAILOVER_LOOK_MS,
    enableOfflineQueue: options.enableOfflineQueue ?? true,
    clusterRetryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  });
  return fillsInEmptyHosts(cluster);
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
      const latest = reasonOf(error);
      if (!ENDED.test(latest) || ENDED.test(reason)) reason = latest;
      if (isDatabaseRefused(reason)) end();
    };
    const timer = setTimeout(end, timeoutMs);
    client.on('error', note).on('ready', end);
  });
  if ((client.status as string) === 'ready') return;
  const words =
    hasAddress(client) && ENDED.test(reason) && reason !== 'no answer'
      ? await firstWords(client.options)
      : '';
  throw new Error(words && !ENDED.test(words) ? reasonOf(new Error(words)) : reason);
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
