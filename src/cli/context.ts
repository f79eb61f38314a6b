import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config, ReadFile } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { requireForRedis } from '../config/requirements.ts';
import { closeRedis, openRedis, whenReady } from '../redis/connect.ts';
import { isDatabaseRefused, isDatabaseWrong } from '../redis/database.ts';
import { type AppRedis, keysOf } from '../redis/keys.ts';
import { isRefusal, redisAdvice } from '../redis/requirements.ts';
import { redisAddress, redisSettings } from '../redis/settings.ts';
import { CliError, EXIT } from './fail.ts';

/** What a verb works with: files, the configuration and Redis. */

const REACH_MS = 3_000;

export const readTextFile: ReadFile = (path) => readFileSync(path, 'utf8');

/** Loads the configuration with the environment and the global option `--config`. Throws ConfigError. */
export function loadForCommand(command: Command): LoadedConfig {
  const { config: configFile } = command.optsWithGlobals<{ config?: string }>();
  return loadConfig({ env: process.env, readFile: readTextFile, ...(configFile && { configFile }) });
}

/** Runs a verb that needs Redis. Throws a CliError with the reason when Redis is out of reach. */
export async function withRedis<T>(
  command: Command,
  work: (context: AppRedis & { config: Config }) => Promise<T>,
): Promise<T> {
  const { config } = loadForCommand(command);
  requireForRedis(config);
  const redis = openRedis(redisSettings(config, readTextFile), 'oneshot', command.name(), () => undefined);
  try {
    await whenReady(redis, REACH_MS).catch((error: Error) => {
      throw notReached(config, error);
    });
    return await work({ config, redis, keys: keysOf(config.app.sdkAppId) });
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { message } = error as Error;
    if (isRefusal(message))
      throw new CliError(EXIT.outOfReach, `Redis refused: ${message}. ${redisAdvice(message, config)}`);
    if (redis.status === 'ready') throw error;
    throw new CliError(
      EXIT.outOfReach,
      `Redis was lost: ${message}. What was done until then stays done. Run the command again when Redis is back.`,
    );
  } finally {
    await closeRedis(redis);
  }
}

/** The failure of a verb that cannot begin: Redis is out of reach, or it refuses the configured database. */
export function notReached(config: Config, { message }: Error): CliError {
  const what = isDatabaseRefused(message) ? 'Redis refused' : 'Redis cannot be reached';
  return new CliError(
    isDatabaseWrong(message) ? EXIT.usage : EXIT.outOfReach,
    `${what} at ${redisAddress(config)}: ${message}. ${redisAdvice(message, config)}`,
  );
}
