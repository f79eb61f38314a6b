import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { countedMemory } from './memory-watermark.ts';
import { infoField, ownerInfo } from './owner.ts';

/** What is wrong with a Redis, in sentences that say what to change. */

/** The facts of INFO that decide whether a server is durable and takes writes. */
export type ServerFacts = Readonly<ReturnType<typeof parseServerFacts>>;

/** Reads INFO and not CONFIG, since managed Redis refuses CONFIG. */
export async function readServerFacts(redis: RedisClient, keys: Keys): Promise<ServerFacts> {
  return parseServerFacts(await ownerInfo(redis, keys));
}

export function parseServerFacts(info: string) {
  return {
    version: infoField(info, 'redis_version'),
    maxmemoryPolicy: infoField(info, 'maxmemory_policy'),
    aofEnabled: infoField(info, 'aof_enabled') === '1',
    /** The last write to the append-only file failed. */
    aofBroken: infoField(info, 'aof_last_write_status') === 'err',
    isLoading: infoField(info, 'loading') === '1',
    isReplica: infoField(info, 'role') === 'slave',
    ...countedMemory(info),
    /** The memory of Redis's machine; 0 if Redis does not report it. */
    systemBytes: Number(infoField(info, 'total_system_memory') || 0),
  };
}

/** The reasons not to start; [] if the server is durable. */
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

export function roleProblem({ isReplica }: ServerFacts): string | undefined {
  return isReplica
    ? 'Redis is a replica and takes no writes. Point IMSYNC_REDIS_URL at the primary.'
    : undefined;
}

export function brokenFileProblem({ aofEnabled, aofBroken }: ServerFacts): string | undefined {
  return aofEnabled && aofBroken
    ? 'Redis cannot write its append-only file and refuses events. Look at its disk.'
    : undefined;
}

/** Why this server would refuse an event now; [] if it takes writes. */
export function writeProblems(facts: ServerFacts): string[] {
  const { isLoading, usedBytes, maxBytes } = facts;
  const problems = [
    isLoading ? 'Redis is still loading its data. Wait until it has.' : undefined,
    roleProblem(facts),
    brokenFileProblem(facts),
    maxBytes > 0 && usedBytes >= maxBytes
      ? 'Redis has no memory left and refuses events. Raise its maxmemory, or find what fills it.'
      : undefined,
  ];
  return problems.filter((problem) => problem !== undefined);
}

/** What to do about a Redis that cannot be used, by the text of the error. */
export function redisAdvice(reason: string): string {
  return (
    ADVICE.find(([words]) => words.test(reason))?.[1] ?? 'Check IMSYNC_REDIS_URL, and that Redis runs there.'
  );
}

const ADVICE: readonly (readonly [words: RegExp, todo: string])[] = [
  // The error itself says what to do (database.ts).
  [/database \S+ cannot be used/, 'The number stands at the end of IMSYNC_REDIS_URL.'],
  [
    /WRONGPASS|NOAUTH|\bAUTH\b|invalid password/,
    'Check IMSYNC_REDIS_PASSWORD (or its _FILE), and the user in IMSYNC_REDIS_URL.',
  ],
  [/NOPERM|no permissions/i, 'Give the Redis user the rights that docs/security.md lists.'],
  [/certificate has expired|not yet valid/, "Renew Redis's certificate, and check this machine's clock."],
  [
    /altnames|does not match/,
    "Redis's certificate is for another name: use that name in IMSYNC_REDIS_URL, or issue one for this address.",
  ],
  [
    /certificate|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO/,
    "The authority that signed Redis's certificate is not known here: set IMSYNC_REDIS_CA_FILE to its certificate.",
  ],
  [
    /no answer|connection was closed|Connection is closed/,
    'Check IMSYNC_REDIS_URL, and that Redis runs there; a port with TLS wants rediss://, one without it redis://.',
  ],
  [
    /wrong version number|packet length too long|SSL|EPROTO/,
    'There is no TLS at this port: use redis:// instead of rediss://, or the port that speaks TLS.',
  ],
  [
    /sentinels? (are|is) unreachable|All sentinels/i,
    'Check IMSYNC_REDIS_NODES (the sentinels) and IMSYNC_REDIS_SENTINEL_NAME.',
  ],
  [
    /slots cache|startup nodes/,
    'Check IMSYNC_REDIS_NODES, and that the cluster is up. A single server wants IMSYNC_REDIS_MODE=standalone.',
  ],
];
