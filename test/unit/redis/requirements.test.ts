import { parseServerFacts, redisProblems } from '../../../src/redis/requirements.ts';

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
    maxmemoryBytes: 2000,
    usedMemoryBytes: 1000,
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

it.each(['allkeys-lru', 'volatile-ttl', 'volatile-lru', ''])('refuses the policy %j', (maxmemoryPolicy) => {
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
