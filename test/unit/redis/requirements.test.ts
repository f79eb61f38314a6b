import {
  parseServerFacts,
  redisAdvice,
  redisProblems,
  writeProblems,
} from '../../../src/redis/requirements.ts';
import { loadFrom } from '../config/memory-files.ts';

const INFO = [
  '# Server',
  'redis_version:7.0.15',
  '# Memory',
  'used_memory:1000',
  'used_memory_human:1K',
  'maxmemory:2000',
  'maxmemory_human:2K',
  'maxmemory_policy:noeviction',
  '# Persistence',
  'aof_enabled:1',
  '',
].join('\r\n');
const good = parseServerFacts(INFO);

it('reads the facts of INFO', () => {
  expect(good).toEqual({
    version: '7.0.15',
    maxmemoryPolicy: 'noeviction',
    aofEnabled: true,
    ...{ aofBroken: false, isLoading: false, isReplica: false },
    ...{ maxBytes: 2000, usedBytes: 1000, systemBytes: 0 },
  });
  expect(parseServerFacts(INFO.replaceAll('\r', ''))).toEqual(good);
});

it('accepts a durable server', () => {
  expect(redisProblems(good, false)).toEqual([]);
});

it.each(['6.2.0', '6.2', '6.10.1', '7.0.0', '8.0.0', '10.1.0'])('takes Redis %s', (version) => {
  expect(redisProblems({ ...good, version }, false)).toEqual([]);
});

it.each(['6.1.9', '6.0.16', '5.0.14', '2.8', ''])('refuses Redis %j, volatile or not', (version) => {
  for (const volatile of [false, true]) {
    expect(redisProblems({ ...good, version }, volatile)).toEqual([
      expect.stringMatching(/6\.2 or newer is needed/),
    ]);
  }
});

it.each(['allkeys-lru', 'volatile-ttl', 'volatile-lru'])('refuses the policy %j', (maxmemoryPolicy) => {
  const problems = redisProblems({ ...good, maxmemoryPolicy }, false);
  expect(problems).toEqual([expect.stringMatching(/Set maxmemory-policy noeviction/)]);
  expect(redisProblems({ ...good, maxmemoryPolicy }, true)).toEqual([]);
});

it('refuses a server without an append-only file and names all problems', () => {
  const off = { ...good, aofEnabled: false };
  expect(redisProblems(off, false)).toEqual([expect.stringMatching(/Set appendonly yes/)]);
  expect(redisProblems(off, true)).toEqual([]);
  expect(redisProblems(parseServerFacts(''), false)).toHaveLength(3);
});

it('says what a server does not tell, and takes it on request', () => {
  const untold = parseServerFacts(INFO.replace(/maxmemory_policy.*|aof_enabled.*/g, ''));
  const what =
    /INFO shows no (maxmemory_policy|aof_enabled)\. Give its user the right \+info\..*ALLOW_VOLATILE=true\.$/;
  expect(redisProblems(untold, false)).toEqual([expect.stringMatching(what), expect.stringMatching(what)]);
  expect(redisProblems(untold, true)).toEqual([]);
});

describe('writeProblems', () => {
  const info = (fields: Readonly<Record<string, string | number>> = {}) => {
    const text = Object.entries({
      loading: 0,
      role: 'master',
      aof_enabled: 1,
      aof_last_write_status: 'ok',
      used_memory: 900,
      maxmemory: 1_000,
      mem_not_counted_for_evict: 0,
      ...fields,
    })
      .map(([name, value]) => `${name}:${value}\r\n`)
      .join('');
    return parseServerFacts(text);
  };

  it('finds no problem with a server that takes writes', () => {
    expect(writeProblems(info())).toEqual([]);
    expect(writeProblems(info({ maxmemory: 0 }))).toEqual([]);
    expect(writeProblems(info({ aof_enabled: 0, aof_last_write_status: 'err' }))).toEqual([]);
  });

  it.each([
    ['loads its data', { loading: 1 }, 'still loading its data'],
    ['is a replica', { role: 'slave' }, 'a replica and takes no writes'],
    ['has no disk left', { aof_last_write_status: 'err' }, 'cannot write its append-only file'],
    ['has no memory left', { used_memory: 1_000 }, 'no memory left'],
  ] as const)('says that it %s', (_what, fields, words) => {
    expect(writeProblems(info(fields))).toEqual([expect.stringContaining(words)]);
  });
});

describe('redisAdvice', () => {
  /** Errors as Node, ioredis and Redis word them. */
  it.each([
    ['WRONGPASS invalid username-password pair or user is disabled.', 'IMSYNC_REDIS_PASSWORD'],
    ['NOAUTH Authentication required.', 'IMSYNC_REDIS_PASSWORD'],
    [
      'ERR AUTH <password> called without any password configured for the default user.',
      'IMSYNC_REDIS_PASSWORD',
    ],
    ['ERR invalid password', 'IMSYNC_REDIS_PASSWORD'],
    ["NOPERM this user has no permissions to run the 'info' command", 'docs/security.md'],
    [
      'database 3 cannot be used, Redis says "NOPERM this user has no permissions"; give its user the right +select',
      'The number stands at the end of IMSYNC_REDIS_URL.',
    ],
    ['The user executing the script has no permissions to access one of the keys', 'docs/security.md'],
    ['certificate has expired', "Renew Redis's certificate"],
    ['certificate is not yet valid', "Renew Redis's certificate"],
    ["Hostname/IP does not match certificate's altnames: Host: h. is not in the cert", 'another name'],
    ['self-signed certificate in certificate chain', 'IMSYNC_REDIS_CA_FILE'],
    ['unable to verify the first certificate', 'IMSYNC_REDIS_CA_FILE'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'IMSYNC_REDIS_CA_FILE'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'IMSYNC_REDIS_CA_FILE'],
    ['no answer', 'A port that speaks TLS wants rediss://'],
    ['Connection is closed.', 'A port that speaks TLS wants rediss://'],
    ['the connection was closed', 'A port that speaks TLS wants rediss://'],
    ['read ECONNRESET', 'A port that speaks TLS wants rediss://'],
    ['tlsv13 alert certificate required', 'IMSYNC_REDIS_CERT_FILE and IMSYNC_REDIS_KEY_FILE'],
    ['ERR max number of clients reached', 'raise it'],
    ['DENIED Redis is running in protected mode', 'local connections only'],
    ['MISCONF Errors writing to the AOF file', 'look at its log and its disk'],
    ["READONLY You can't write against a read only replica.", 'let IMSYNC_REDIS_URL lead to the primary'],
    ['NOREPLICAS Not enough good replicas to write.', 'min-replicas-to-write'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'raise its maxmemory'],
    ['connect EACCES /run/redis/redis.sock', 'unixsocketperm'],
    ['ERR This instance has cluster support disabled', 'IMSYNC_REDIS_MODE=standalone'],
    [
      'All sentinels are unreachable. Last error: NOAUTH Authentication required',
      'IMSYNC_REDIS_SENTINEL_PASSWORD',
    ],
    ['All sentinels are unreachable. Last error: read ECONNRESET', 'IMSYNC_REDIS_SENTINEL_TLS'],
    ['write EPROTO 0:error:0A00010B:SSL routines::wrong version number', 'There is no TLS at this port'],
    ['packet length too long', 'There is no TLS at this port'],
    ['All sentinels are unreachable. Retrying from scratch after 10ms.', 'IMSYNC_REDIS_SENTINEL_NAME'],
    ['Failed to refresh slots cache.', 'IMSYNC_REDIS_URL, and that the cluster is up'],
    ['None of startup nodes is available', 'IMSYNC_REDIS_URL, and that the cluster is up'],
    ['connect ECONNREFUSED 127.0.0.1:6379', 'Nothing listens there: check IMSYNC_REDIS_URL'],
    [
      'getaddrinfo ENOTFOUND redis.internal',
      'The name cannot be resolved: check the host in IMSYNC_REDIS_URL',
    ],
  ])('%s', (reason, todo) => {
    expect(redisAdvice(reason, loadFrom({}).config)).toContain(todo);
  });

  it('names the settings that led there', () => {
    const by = (env: Record<string, string>) => redisAdvice('read ECONNRESET', loadFrom(env).config);
    expect(by({ IMSYNC_REDIS_URL: 'rediss://h' })).toMatch(/IMSYNC_REDIS_URL.*wants a client certificate/);
    expect(by({ IMSYNC_REDIS_MODE: 'cluster', IMSYNC_REDIS_NODES: 'a:1' })).toMatch(
      /^Check IMSYNC_REDIS_NODES/,
    );
  });
});
