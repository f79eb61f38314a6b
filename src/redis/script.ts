import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import type { Keys } from './keys.ts';

/** A Lua script. Its file is beside the module that runs it. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
  /** The names in its `nameKeys(...)`, in the order of KEYS. */
  readonly keyNames: readonly string[];
}

const prelude = readFileSync(new URL('prelude.lua', import.meta.url), 'utf8');

/**
 * Reads a script beside the calling module: `loadScript(import.meta.url, 'cut.lua')`. Files with shared
 * functions are named before it. All become one text below prelude.lua, since Redis has no modules.
 */
export function loadScript(moduleUrl: string, ...names: readonly [string, ...string[]]): Script {
  const lua = [prelude, ...names.map((name) => readFileSync(new URL(name, moduleUrl), 'utf8'))].join('\n');
  const [, keyList = ''] = /^nameKeys\(([^)]*)\)/m.exec(lua) ?? [];
  return {
    name: names.at(-1) ?? '',
    lua,
    sha: createHash('sha1').update(lua).digest('hex'),
    keyNames: [...keyList.matchAll(/'(\w+)'/g)].map(([, name = '']) => name),
  };
}

/** Runs a script with the keys that it names itself, prefixes among them, and with its arguments by name. */
export function askScript(
  redis: Redis | Cluster,
  script: Script,
  keys: Keys,
  request: object = {},
): Promise<unknown> {
  const named = script.keyNames.map((name) => keys[name as keyof Keys]);
  return runScript(redis, script, named, [JSON.stringify(request)]);
}

/** The names and values of a flat reply: HGETALL's within a script, or those of `{ map = … }` in Lua. */
export function fieldsOf<T = Readonly<Record<string, string>>>(reply: unknown): T {
  const flat = reply as readonly string[];
  const fields: Record<string, unknown> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] ?? ''] = flat[i + 1];
  return fields as T;
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
