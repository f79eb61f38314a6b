import { ConfigError, type ReadFile } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { maskedView } from '../config/mask.ts';
import type { createUserLookup } from '../http-intake/get-user.ts';
import { ListenError } from '../lifecycle/listen.ts';
import type { Ops } from '../ops/server.ts';
import { closeRedis, openRedis } from '../redis/connect.ts';
import { redisSettings } from '../redis/settings.ts';
import type { Parts } from './calls.ts';

/**
 * Opens the console, if it has a port; otherwise nothing of it is loaded. Rejects with ConfigError when it
 * cannot listen, and then leaves nothing open.
 */
export async function startConsole(
  options: Pick<Parts, 'config' | 'keys' | 'log'> & {
    readonly origins: LoadedConfig['origins'];
    readonly readFile: ReadFile;
    readonly version: string;
    readonly status: Ops['status'];
    readonly lookup: ReturnType<typeof createUserLookup>;
  },
): Promise<{ close(): Promise<void> } | undefined> {
  const { config, keys, log, origins, readFile, version, status, lookup } = options;
  const { port } = config.console;
  if (port === null) return undefined;
  const { openConsole } = await import('../console/server.ts');
  // A page of letters must not stand in the way of a probe of /readyz, so it has a connection of its own.
  const redis = openRedis(redisSettings(config, readFile), 'oneshot', 'console', () => undefined);
  try {
    const opened = await openConsole({
      ...{ config, port, readFile, version, redis, keys, log, status },
      settings: maskedView({ config, origins }),
      findUser: lookup.find,
    });
    return {
      async close(): Promise<void> {
        await opened.close();
        await closeRedis(redis);
      },
    };
  } catch (error) {
    await closeRedis(redis);
    throw error instanceof ListenError ? new ConfigError([error.message]) : error;
  }
}
