import type { Config, ReadFile } from '../config/config.ts';
import { readSecrets } from '../config/secrets.ts';
import type { RedisSettings } from './connect.ts';

/**
 * Reads the Redis settings from the configuration and from the files of password and CA certificate. It
 * stands apart from connect.ts, because a backend that loads the producer needs nothing of the configuration.
 */
export function redisSettings(config: Config, readFile: ReadFile): RedisSettings {
  const { url, mode, nodes, sentinelName, caFile } = config.redis;
  return {
    url,
    mode,
    nodes,
    sentinelName,
    password: readSecrets(config, readFile).redisPassword ?? '',
    ca: caFile === '' ? '' : readFile(caFile),
  };
}
