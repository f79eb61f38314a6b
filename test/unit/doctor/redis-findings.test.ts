import { type Finding, findingLines, verdictOfFindings } from '../../../src/doctor/finding.ts';
import { type RedisFacts, redisAway, redisFindings } from '../../../src/doctor/redis-findings.ts';
import { parseServerFacts } from '../../../src/redis/requirements.ts';
import { loadFrom } from '../config/memory-files.ts';

const { config } = loadFrom({});
const MIB = 2 ** 20;
const INFO = [
  '# Server',
  'redis_version:7.0.15',
  `used_memory:${10 * MIB}`,
  `total_system_memory:${1000 * MIB}`,
  `maxmemory:${100 * MIB}`,
  'maxmemory_policy:noeviction',
  'aof_enabled:1',
  'aof_last_write_status:ok',
  'role:master',
].join('\r\n');

function findingsOf(changes: Partial<RedisFacts> = {}, allowVolatile = false): Map<string, Finding> {
  const facts = { ...parseServerFacts(INFO), roundTripMs: 0.5, clockAheadMs: 3, ...changes };
  return new Map(
    redisFindings(facts, 'redis://here', 3, allowVolatile).map((finding) => [finding.name, finding]),
  );
}

describe('redisFindings', () => {
  test('every check passes for a good Redis', () => {
    const findings = findingsOf();
    expect([...findings.values()].filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(findings.get('redis.memory')?.text).toContain(
      '10 MiB of its limit of 100 MiB; the remaining 90 MiB can hold about 630,000 waiting events of 150 bytes',
    );
    expect(findings.has('redis.clock')).toBe(true);
    expect(findings.get('redis.database')?.text).toBe('Redis gives access to database 3, as configured');
  });

  test.each<[string, Partial<RedisFacts>, RegExp, RegExp]>([
    ['version', { version: '6.0.9' }, /6\.0\.9: 6\.2 or newer/, /^Upgrade it/],
    ['role', { isReplica: true }, /replica/, /primary/],
    ['policy', { maxmemoryPolicy: 'allkeys-lru' }, /allkeys-lru$/, /^Set maxmemory-policy noeviction/],
    ['persistence', { aofEnabled: false }, /append-only file is off$/, /^Set appendonly yes/],
    ['persistence', { aofBroken: true }, /cannot write/, /disk/],
    ['memory', { usedBytes: 96 * MIB }, /96 MiB of its limit of 100 MiB/, /Raise maxmemory/],
    ['clock', { clockAheadMs: -60_000 }, /(1 min|60 s) ahead of Redis's/, /NTP/],
    ['clock', { clockAheadMs: 7_200_000 }, /2 h behind Redis's/, /NTP/],
  ])('%s: %j is wrong', (name, changes, text, todo) => {
    const finding = findingsOf(changes).get(`redis.${name}`);
    expect(finding).toMatchObject({
      state: 'wrong',
      text: expect.stringMatching(text),
      todo: expect.stringMatching(todo),
    });
  });

  test('a volatile Redis that the settings allow is reported but not wrong', () => {
    const findings = findingsOf({ aofEnabled: false, maxmemoryPolicy: 'allkeys-lru' }, true);
    for (const name of ['redis.policy', 'redis.persistence']) {
      expect(findings.get(name)).toMatchObject({
        state: 'skipped',
        text: expect.stringContaining('IMSYNC_REDIS_ALLOW_VOLATILE'),
      });
    }
  });

  test('the memory of the machine counts if Redis has no limit', () => {
    expect(findingsOf({ maxBytes: 0 }).get('redis.memory')).toMatchObject({
      state: 'ok',
      text: expect.stringContaining("of the machine's 1000 MiB; the remaining 990 MiB"),
    });
    expect(findingsOf({ maxBytes: 0, systemBytes: 0 }).get('redis.memory')?.state).toBe('skipped');
  });

  test('a small difference of the clocks is not wrong', () => {
    expect(findingsOf({ clockAheadMs: 3_000 }).get('redis.clock')).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('3 s behind'),
    });
  });

  test('a refused password and a Redis that is down have different advice', () => {
    expect(redisAway(config, 'NOAUTH Authentication required.')[0]?.todo).toContain('IMSYNC_REDIS_PASSWORD');
    expect(redisAway(config, 'connect ECONNREFUSED')[0]?.todo).toContain('IMSYNC_REDIS_URL');
  });

  test.each([
    ['ERR DB index is out of range', 'configuration'],
    ['NOPERM this user has no permissions', 'out-of-reach'],
  ])('a refused database has exactly one finding: %s', (reply, cause) => {
    const findings = redisAway(config, `database 3 cannot be used, Redis says "${reply}"; do this`);
    expect(findings.filter(({ name }) => name === 'redis.database')).toEqual([findings[0]]);
    expect(findings[0]).toMatchObject({ state: 'wrong', cause, text: expect.stringContaining(reply) });
    expect(findings.map(({ name }) => name)).not.toContain('redis.reachable');
  });
});

describe('verdictOfFindings', () => {
  const wrong = (cause?: Finding['cause']): Finding => ({
    name: 'x',
    state: 'wrong',
    text: 'x',
    ...(cause && { cause }),
  });

  test('wrong settings count before what is out of reach, and that before all else', () => {
    expect(verdictOfFindings([{ name: 'x', state: 'skipped', text: 'x' }])).toBe('well');
    expect(verdictOfFindings([wrong()])).toBe('wrong');
    expect(verdictOfFindings([wrong(), wrong('out-of-reach')])).toBe('out-of-reach');
    expect(verdictOfFindings([wrong('out-of-reach'), wrong('configuration')])).toBe('configuration');
  });

  test('what to do stands below what is wrong', () => {
    const finding: Finding = { name: 'x', state: 'wrong', text: 'it is off', todo: 'Turn it on.' };
    expect(findingLines([finding])).toEqual(['✗ it is off', '    → Turn it on.']);
  });
});
