import { randomUUID } from 'node:crypto';
import { within } from '../../lifecycle/wait.ts';
import { listenOn, type RedisClient } from '../../redis/connect.ts';
import type { Keys } from '../../redis/keys.ts';
import type { WorkerPresence } from '../presence.ts';
import {
  ASK_EVERY_MS,
  type FeedBatch,
  type FeedRequest,
  LEASE_MS,
  readBatch,
  type Wanted,
} from './record.ts';
import { MOST_WATCHERS } from './watchers.ts';

/** A worker answers its first request within this time. */
const KNOWN_AFTER_MS = 900;
/** A Redis that does not answer keeps no watcher from ending. */
const LAST_WORD_MS = 500;

export type FeedWatch = Awaited<ReturnType<typeof watchFeed>>;

/**
 * The watcher's side of the feed: asks all workers for what is wanted, and asks again until it is closed.
 * Rejects if the channel cannot be listened to. After a loss of Redis it goes on by itself.
 */
export async function watchFeed(options: {
  /** A connection of its own. */
  readonly subscriber: RedisClient;
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly wanted: Wanted;
  readonly onBatch: (batch: FeedBatch) => void;
}) {
  const { subscriber, redis, keys, wanted, onBatch } = options;
  const watcher = randomUUID();
  const askedMs = performance.now();
  const heardAtMs = new Map<string, number>();
  subscriber.on('message', (_channel: string, message: string) => {
    const batch = readBatch(message);
    if (batch === undefined) return;
    heardAtMs.set(batch.worker, performance.now());
    onBatch(batch);
  });
  await listenOn(subscriber, keys.feedPrefix + watcher);
  const tell = (request: FeedRequest) => redis.publish(keys.feedRequests, JSON.stringify(request));
  // A request that fails needs no handling: Redis is away, and the next one comes soon.
  const ask = (): void => void tell({ watcher, wanted }).catch(() => undefined);
  ask();
  const timer = setInterval(ask, ASK_EVERY_MS);
  return {
    /** IDs of the workers that send; undefined until they have had time to answer. */
    senders(): ReadonlySet<string> | undefined {
      const nowMs = performance.now();
      if (nowMs - askedMs < KNOWN_AFTER_MS) return undefined;
      return new Set([...heardAtMs].filter(([, atMs]) => nowMs - atMs < LEASE_MS).map(([id]) => id));
    },
    async close(): Promise<void> {
      clearInterval(timer);
      // Workers that do not hear it stop when the lease ends.
      await within(tell({ watcher, wanted: null }), LAST_WORD_MS, '').catch(() => undefined);
    },
  };
}

/** Who sends, in words: `2 of 3 workers send; host-7 (version 0.1.0) sends nothing`. Pure. */
export function sendersText(
  workers: readonly WorkerPresence[],
  senders: ReadonlySet<string> | undefined,
): string {
  if (workers.length === 0) return 'no worker runs: start one with imsync worker';
  if (senders === undefined) return 'workers are asked for their calls';
  const silent = workers.filter(({ id }) => !senders.has(id));
  const sending = workers.length - silent.length;
  if (silent.length === 0) return sending === 1 ? '1 worker sends' : `${sending} workers send`;
  const named = silent.slice(0, 3).map(({ id, version }) => `${id} (version ${version})`);
  const names = [...named, ...(silent.length > 3 ? [`${silent.length - 3} more`] : [])].join(', ');
  if (sending === 0)
    return `no worker sends (each serves ${MOST_WATCHERS} watchers at most, and an older version none): ${names}`;
  return `${sending} of ${workers.length} workers send; ${names} ${silent.length === 1 ? 'sends' : 'send'} nothing`;
}
