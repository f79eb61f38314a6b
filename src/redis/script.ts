import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';

/** A Lua script that lives in a file of its own beside the code that runs it. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
}

/**
 * Reads a script beside the calling module: `loadScript(import.meta.url, 'cut.lua')`. Functions that several
 * scripts share stand in a file named before it; they become one text, since Redis knows no modules.
 */
export function loadScript(moduleUrl: string, ...names: readonly [string, ...string[]]): Script {
  const lua = names.map((name) => readFileSync(new URL(name, moduleUrl), 'utf8')).join('\n');
  return { name: names.at(-1) ?? '', lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Runs a script by its hash, and sends its text when Redis does not know it (restart, failover, SCRIPT FLUSH).
 * Rejects with Redis's own error, which names the script's line.
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
