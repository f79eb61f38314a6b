import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

/** A Lua script. Its file is beside the module that runs it. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
}

/**
 * Reads a script beside the calling module: `loadScript(import.meta.url, 'cut.lua')`. Files with shared
 * functions are named before it. All become one text, since Redis has no modules.
 */
export function loadScript(moduleUrl: string, ...names: readonly [string, ...string[]]): Script {
  const lua = names.map((name) => readFileSync(new URL(name, moduleUrl), 'utf8')).join('\n');
  return { name: names.at(-1) ?? '', lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Runs a script by its hash. Sends its text if Redis does not know it (after a restart, failover or SCRIPT
 * FLUSH). Rejects with Redis's own error, which names the line of the script.
 */
export async function runScript(
  redis: Redis | Cluster,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error as Error).message?.startsWith('NOSCRIPT')) throw error;
    return redis.eval(script.lua, keys.length, ...keys, ...args);
  }
}
