import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { ownerInfo } from './owner.ts';

/** What INFO says of a server, as far as durability depends on it. */
export interface ServerFacts {
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly aofEnabled: boolean;
  readonly maxmemoryBytes: number;
  readonly usedMemoryBytes: number;
}

/** Reads INFO, not CONFIG: managed Redis refuses CONFIG. */
export async function readServerFacts(redis: RedisClient, keys: Keys): Promise<ServerFacts> {
  return parseServerFacts(await ownerInfo(redis, keys));
}

export function parseServerFacts(info: string): ServerFacts {
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  return {
    version: field('redis_version'),
    maxmemoryPolicy: field('maxmemory_policy'),
    aofEnabled: field('aof_enabled') === '1',
    maxmemoryBytes: Number(field('maxmemory') || 0),
    usedMemoryBytes: Number(field('used_memory') || 0),
  };
}

/** What forbids a start, each a sentence that says what to change. [] when this server can be trusted. */
export function redisProblems(facts: ServerFacts, allowVolatile: boolean): string[] {
  const problems = [
    versionProblem(facts),
    ...(allowVolatile ? [] : [policyProblem(facts), aofProblem(facts)]),
  ];
  return problems.filter((problem) => problem !== undefined);
}

export function versionProblem({ version }: ServerFacts): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return undefined;
  return `Redis is ${version || 'of an unknown version'}: 6.2 or newer is needed. Upgrade it.`;
}

export function policyProblem({ maxmemoryPolicy }: ServerFacts): string | undefined {
  if (maxmemoryPolicy === 'noeviction') return undefined;
  return (
    `Redis may evict events: maxmemory-policy is ${maxmemoryPolicy || 'unknown'}. ` +
    'Set maxmemory-policy noeviction (or IMSYNC_REDIS_ALLOW_VOLATILE=true, if losing events is acceptable).'
  );
}

export function aofProblem({ aofEnabled }: ServerFacts): string | undefined {
  if (aofEnabled) return undefined;
  return (
    'Redis would lose events at a restart: its append-only file is off. ' +
    'Set appendonly yes (or IMSYNC_REDIS_ALLOW_VOLATILE=true, if losing events is acceptable).'
  );
}
