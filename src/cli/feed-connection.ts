import { once } from 'node:events';
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { redisSettings } from '../redis/settings.ts';
import { notReached, readTextFile, withRedis } from './context.ts';
import { EXIT } from './fail.ts';
import type { onInterrupt } from './terminal.ts';

const REACH_MS = 3_000;

/**
 * Runs a verb that watches what workers do: with a second connection, since one that listens takes no other
 * commands. Both connect again after a loss. `onChange` hears of each loss and each return.
 */
export async function withFeedConnection(
  command: Command,
  work: (context: {
    readonly config: Config;
    readonly redis: RedisClient;
    readonly keys: Keys;
    readonly subscriber: RedisClient;
    /** Why Redis is away; '' while it is reachable. */
    readonly whyLost: () => string;
  }) => Promise<void>,
  onChange: (why: string) => void = () => undefined,
): Promise<void> {
  await withRedis(command, async ({ config, redis, keys }) => {
    let why = '';
    let isClosing = false;
    const name = `${command.name()}-feed`;
    const subscriber = openRedis(redisSettings(config, readTextFile), 'loop', name, (change) => {
      const before = why;
      why = change.state === 'lost' ? change.reason : '';
      if (why !== before && !isClosing) onChange(why);
    });
    const whyLost = (): string => why || (redis.status === 'ready' ? '' : 'the connection is made again');
    try {
      await whenReady(subscriber, REACH_MS).catch((error: Error) => {
        throw notReached(config, error);
      });
      await work({ config, redis, keys, subscriber, whyLost });
    } finally {
      isClosing = true;
      await closeRedis(subscriber);
    }
  });
}

/** Resolves when the verb is to end. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** Ctrl-C is the ordinary way out of a verb that watches. Other signals keep their codes. */
export function exitCodeAfter({ exitCode = EXIT.done }: ReturnType<typeof onInterrupt>): number {
  return exitCode === 130 ? EXIT.done : exitCode;
}
