import type { Config, ReadFile } from '../config/config.ts';
import { readSecrets } from '../config/secrets.ts';
import type { RedisSettings } from './connect.ts';

/** Reads the Redis settings from the configuration and from the files of password and CA certificate. */
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
