import type { Config } from '../config/config.ts';
import { redisUrlParts } from '../config/formats.ts';
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
  const aofEnabled = infoField(info, 'aof_enabled');
  return {
    version: infoField(info, 'redis_version'),
    /** '' if Redis does not say. */
    maxmemoryPolicy: infoField(info, 'maxmemory_policy'),
    /** Undefined if Redis does not say. */
    aofEnabled: aofEnabled === '' ? undefined : aofEnabled === '1',
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

/** Managed services may hide a setting, and an ACL may forbid INFO. */
const UNTOLD =
  'Give its user the right +info. Where the service hides it, look there, and set IMSYNC_REDIS_ALLOW_VOLATILE=true.';

export function policyProblem({ maxmemoryPolicy }: ServerFacts): string | undefined {
  if (maxmemoryPolicy === 'noeviction') return undefined;
  if (maxmemoryPolicy === '')
    return `Redis does not say whether it may evict events: INFO shows no maxmemory_policy. ${UNTOLD}`;
  return (
    `Redis may evict events: maxmemory-policy is ${maxmemoryPolicy}. ` +
    'Set maxmemory-policy noeviction (or IMSYNC_REDIS_ALLOW_VOLATILE=true, if losing events is acceptable).'
  );
}

export function aofProblem({ aofEnabled }: ServerFacts): string | undefined {
  if (aofEnabled) return undefined;
  if (aofEnabled === undefined)
    return `Redis does not say whether it keeps events at a restart: INFO shows no aof_enabled. ${UNTOLD}`;
  return (
    'Redis would lose events at a restart: its append-only file is off. ' +
    'Set appendonly yes (or IMSYNC_REDIS_ALLOW_VOLATILE=true, if losing events is acceptable).'
  );
}

export function roleProblem({ isReplica }: ServerFacts): string | undefined {
  return isReplica ? WRITE_PROBLEMS.replica : undefined;
}

export function brokenFileProblem({ aofEnabled, aofBroken }: ServerFacts): string | undefined {
  return aofEnabled && aofBroken ? WRITE_PROBLEMS.disk : undefined;
}

/** The sentences of `writeProblems`. The console says them in other languages by their names. */
export const WRITE_PROBLEMS = {
  loading: 'Redis is still loading its data. Wait until it has.',
  replica: 'Redis is a replica and takes no writes. Point IMSYNC_REDIS_URL at the primary.',
  disk: 'Redis cannot write its append-only file and refuses events. Look at its disk.',
  memory: 'Redis has no memory left and refuses events. Raise its maxmemory, or find what fills it.',
} as const;

/** Why this server would refuse an event now; [] if it takes writes. */
export function writeProblems(facts: ServerFacts): string[] {
  const { isLoading, usedBytes, maxBytes } = facts;
  const problems = [
    isLoading ? WRITE_PROBLEMS.loading : undefined,
    roleProblem(facts),
    brokenFileProblem(facts),
    maxBytes > 0 && usedBytes >= maxBytes ? WRITE_PROBLEMS.memory : undefined,
  ];
  return problems.filter((problem) => problem !== undefined);
}

/** Whether Redis refuses whatever is asked of it, or its user. */
export function isRefusal(reason: string): boolean {
  return /\b(NOPERM|READONLY|MISCONF|NOREPLICAS|OOM|LOADING|CLUSTERDOWN|MASTERDOWN)\b/.test(reason);
}

/** What to do about a Redis that cannot be used, by the text of the error and the settings that led there. */
export function redisAdvice(reason: string, { redis }: Config): string {
  const advice =
    ADVICE.find(([words]) => words.test(reason))?.[1] ?? 'Check ADDRESS, and that Redis runs there.';
  const byNodes = redis.mode !== 'standalone' && redis.nodes.length > 0;
  const { tls } = redisUrlParts(redis.url);
  return advice
    .replaceAll('ADDRESS', byNodes ? 'IMSYNC_REDIS_NODES' : 'IMSYNC_REDIS_URL')
    .replaceAll('ABOUT_TLS', tls ? CLOSED_TLS : CLOSED_PLAIN);
}

const CLOSED_PLAIN = 'A port that speaks TLS wants rediss:// in IMSYNC_REDIS_URL.';
const CLOSED_TLS =
  'A Redis that wants a client certificate gets it by IMSYNC_REDIS_CERT_FILE and IMSYNC_REDIS_KEY_FILE; a port without TLS wants redis://.';

/** The first one that fits counts. ADDRESS and ABOUT_TLS are filled in by the settings. */
const ADVICE: readonly (readonly [words: RegExp, todo: string])[] = [
  // The error itself says what to do (database.ts).
  [/database \S+ cannot be used/, 'The number stands at the end of IMSYNC_REDIS_URL.'],
  [
    /sentinels are unreachable.*(NOAUTH|WRONGPASS)/,
    'The sentinels want a login of their own: check IMSYNC_REDIS_SENTINEL_PASSWORD (or its _FILE) and IMSYNC_REDIS_SENTINEL_USERNAME.',
  ],
  [
    /No such master/i,
    'The sentinels do not know this primary: check IMSYNC_REDIS_SENTINEL_NAME (on a sentinel: SENTINEL MASTERS).',
  ],
  [
    /sentinels are unreachable.*(ECONNRESET|EPIPE|closed)/,
    'Check IMSYNC_REDIS_NODES (the sentinels); sentinels that speak TLS want IMSYNC_REDIS_SENTINEL_TLS=true, others want it false.',
  ],
  [/NOAUTH/, 'Redis wants a password: give it in IMSYNC_REDIS_PASSWORD (or its _FILE).'],
  [
    /WRONGPASS|\bAUTH\b|invalid password/,
    'Redis does not take this login: check IMSYNC_REDIS_PASSWORD (or its _FILE), and the user in IMSYNC_REDIS_USERNAME or IMSYNC_REDIS_URL.',
  ],
  [/NOPERM|no permissions/i, 'Give the Redis user the rights that docs/security.md lists.'],
  [
    /max number of clients/i,
    'Redis has all the connections that its maxclients allows: raise it, or see who holds them (CLIENT LIST). A worker takes about ten.',
  ],
  [
    /DENIED|protected mode/i,
    'Redis takes local connections only: give it a password, or let it bind to this network.',
  ],
  [/LOADING/, 'Redis is still loading its data: wait until it has.'],
  [/READONLY/, 'Redis is a replica and takes no writes: let ADDRESS lead to the primary.'],
  [/NOREPLICAS/, 'Too few replicas follow Redis: see its min-replicas-to-write.'],
  [/\bOOM\b/, 'Redis has no memory left: raise its maxmemory, or find what fills it.'],
  [/MISCONF/, 'Redis cannot write its file: look at its log and its disk.'],
  [/CLUSTERDOWN|MASTERDOWN/, 'A part of Redis is down: see CLUSTER INFO, or the sentinels.'],
  [
    /cluster support disabled/,
    'This is a single server: set IMSYNC_REDIS_MODE=standalone and its address in IMSYNC_REDIS_URL.',
  ],
  [/certificate has expired|not yet valid/, "Renew Redis's certificate, and check this machine's clock."],
  [
    /altnames|does not match/,
    "Redis's certificate is for another name: use that name in ADDRESS, name it in IMSYNC_REDIS_SERVER_NAME, or issue one for this address.",
  ],
  [
    /alert certificate required|alert handshake failure|peer did not return a certificate/i,
    'Redis wants a client certificate: give it by IMSYNC_REDIS_CERT_FILE and IMSYNC_REDIS_KEY_FILE.',
  ],
  [
    /alert (unknown ca|bad certificate)/i,
    'Redis does not take our client certificate: it must be signed by the authority that Redis knows (IMSYNC_REDIS_CERT_FILE).',
  ],
  [
    /certificate|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO/,
    "The authority that signed Redis's certificate is not known here: set IMSYNC_REDIS_CA_FILE to its certificate.",
  ],
  [
    /wrong version number|packet length too long|SSL|EPROTO/,
    'There is no TLS at this port: use redis:// instead of rediss://, or the port that speaks TLS.',
  ],
  [/ENOTFOUND|EAI_/, 'The name cannot be resolved: check the host in ADDRESS, and the DNS of this machine.'],
  [/ENOENT/, 'There is no such socket: check IMSYNC_REDIS_URL, and the unixsocket of Redis.'],
  [/EACCES/, 'This user may not use the socket: see the unixsocketperm of Redis, and its group.'],
  [/ECONNREFUSED/, 'Nothing listens there: check ADDRESS, and that Redis runs there.'],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/,
    'Nothing answers there: check ADDRESS, and the firewalls and security groups on the way.',
  ],
  [/no answer|closed|ECONNRESET|EPIPE/, 'Check ADDRESS, and that Redis runs there. ABOUT_TLS'],
  [
    /sentinels? (are|is) unreachable/i,
    'Check IMSYNC_REDIS_NODES (the sentinels) and IMSYNC_REDIS_SENTINEL_NAME.',
  ],
  [
    /slots cache|startup nodes/,
    'Check ADDRESS, and that the cluster is up. A single server wants IMSYNC_REDIS_MODE=standalone.',
  ],
];
