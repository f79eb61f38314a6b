import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { countedMemory } from './memory-watermark.ts';
import { ownerInfo } from './owner.ts';

/** The facts of INFO that decide whether a server is durable. */
export interface ServerFacts {
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly aofEnabled: boolean;
  readonly maxmemoryBytes: number;
  readonly usedMemoryBytes: number;
}

/** Reads INFO and not CONFIG, since managed Redis refuses CONFIG. */
export async function readServerFacts(redis: RedisClient, keys: Keys): Promise<ServerFacts> {
  return parseServerFacts(await ownerInfo(redis, keys));
}

export function parseServerFacts(info: string): ServerFacts {
  const field = (name: string): string => infoField(info, name);
  return {
    version: field('redis_version'),
    maxmemoryPolicy: field('maxmemory_policy'),
    aofEnabled: field('aof_enabled') === '1',
    maxmemoryBytes: Number(field('maxmemory') || 0),
    usedMemoryBytes: Number(field('used_memory') || 0),
  };
}

/** The reasons not to start, one sentence each with what to change. [] if the server is durable. */
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

/**
 * Tells from INFO why this server would refuse an event now, one sentence per reason with what to change. []
 * if it takes writes.
 */
export function writeProblems(info: string): string[] {
  const field = (name: string): string => infoField(info, name);
  const problems: string[] = [];
  if (field('loading') === '1') {
    problems.push('Redis is still loading its data. Wait until it has.');
  }
  if (field('role') === 'slave') {
    problems.push('Redis is a replica and takes no writes. Point IMSYNC_REDIS_URL at the primary.');
  }
  if (field('aof_enabled') === '1' && field('aof_last_write_status') === 'err') {
    problems.push('Redis cannot write its append-only file and refuses events. Look at its disk.');
  }
  const { usedBytes, maxBytes } = countedMemory(info);
  if (maxBytes > 0 && usedBytes >= maxBytes) {
    problems.push('Redis has no memory left and refuses events. Raise its maxmemory, or find what fills it.');
  }
  return problems;
}

/** The value of a field of INFO; '' if it is missing. */
function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}
