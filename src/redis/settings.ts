import type { Config, ReadFile } from '../config/config.ts';
import { shown, withoutPassword } from '../config/mask.ts';
import { schema } from '../config/schema.ts';
import { readSecrets } from '../config/secrets.ts';
import type { RedisSettings } from './options.ts';

/**
 * Reads the Redis settings from the configuration and from the files of passwords and certificates. It
 * stands apart from connect.ts, because a backend that loads the producer needs nothing of the configuration.
 */
export function redisSettings(config: Config, readFile: ReadFile): RedisSettings {
  const { caFile, certFile, keyFile } = config.redis;
  const { redisPassword = '', sentinelPassword = '' } = readSecrets(config, readFile);
  const read = (path: string): string => (path === '' ? '' : readFile(path));
  return {
    ...config.redis,
    password: redisPassword,
    sentinelPassword,
    ca: read(caFile),
    cert: read(certFile),
    key: read(keyFile),
  };
}

/** The address that was given, without its password: the nodes where they count, else the URL. */
export function redisAddress({ redis }: Config): string {
  const { mode, nodes, url } = redis;
  if (mode === 'standalone' || nodes.length === 0) return withoutPassword(url);
  return shown(schema.redis.nodes.reader.hidden, nodes);
}
