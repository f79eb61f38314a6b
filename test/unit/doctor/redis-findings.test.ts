import { type Finding, findingLines, verdictOfFindings } from '../../../src/doctor/finding.ts';
import { parseRedisFacts, type RedisFacts } from '../../../src/doctor/redis-facts.ts';
import { redisAway, redisFindings } from '../../../src/doctor/redis-findings.ts';

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
  const facts = { ...parseRedisFacts(INFO), roundTripMs: 0.5, clockAheadMs: 3, ...changes };
  return new Map(
    redisFindings(facts, 'redis://here', 3, allowVolatile).map((finding) => [finding.name, finding]),
  );
}

describe('redisFindings', () => {
  test('all is well', () => {
    const findings = findingsOf();
    expect([...findings.values()].filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(findings.get('redis.memory')?.text).toContain(
      '10 MiB of 100 MiB in use; 90 MiB left, room for about 630,000 waiting events of 150 bytes',
    );
    expect(findings.has('redis.clock')).toBe(true);
    expect(findings.get('redis.database')?.text).toBe('database 3 is used, as asked for');
  });

  test.each<[string, Partial<RedisFacts>, RegExp, RegExp]>([
    ['version', { version: '6.0.9' }, /6\.0\.9: 6\.2 or newer/, /^Upgrade it/],
    ['role', { role: 'slave' }, /replica/, /primary/],
    ['policy', { maxmemoryPolicy: 'allkeys-lru' }, /allkeys-lru$/, /^Set maxmemory-policy noeviction/],
    ['persistence', { aofEnabled: false }, /append-only file is off$/, /^Set appendonly yes/],
    ['persistence', { aofWritable: false }, /could not write/, /disk/],
    ['memory', { usedMemoryBytes: 96 * MIB }, /96 MiB of 100 MiB/, /Raise maxmemory/],
    ['clock', { clockAheadMs: -60_000 }, /1 min behind|60 s behind/, /NTP/],
    ['clock', { clockAheadMs: 7_200_000 }, /2 h ahead of/, /NTP/],
  ])('%s: %j is wrong', (name, changes, text, todo) => {
    const finding = findingsOf(changes).get(`redis.${name}`);
    expect(finding).toMatchObject({
      state: 'wrong',
      text: expect.stringMatching(text),
      todo: expect.stringMatching(todo),
    });
  });

  test('what was accepted is not wrong, but said', () => {
    const findings = findingsOf({ aofEnabled: false, maxmemoryPolicy: 'allkeys-lru' }, true);
    for (const name of ['redis.policy', 'redis.persistence']) {
      expect(findings.get(name)).toMatchObject({
        state: 'skipped',
        text: expect.stringContaining('IMSYNC_REDIS_ALLOW_VOLATILE'),
      });
    }
  });

  test('without a limit of its own the memory of the machine counts', () => {
    expect(findingsOf({ maxmemoryBytes: 0 }).get('redis.memory')).toMatchObject({
      state: 'ok',
      text: expect.stringContaining("of the machine's 1000 MiB; 990 MiB left"),
    });
    expect(findingsOf({ maxmemoryBytes: 0, systemMemoryBytes: 0 }).get('redis.memory')?.state).toBe(
      'skipped',
    );
  });

  test('a small difference of the clocks does no harm', () => {
    expect(findingsOf({ clockAheadMs: 3_000 }).get('redis.clock')).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('3 s ahead'),
    });
  });

  test('a Redis that refuses the password is not one that is down', () => {
    expect(redisAway('redis://here', 'NOAUTH Authentication required.')[0]?.todo).toContain(
      'IMSYNC_REDIS_PASSWORD',
    );
    expect(redisAway('redis://here', 'connect ECONNREFUSED')[0]?.todo).toContain('IMSYNC_REDIS_URL');
  });

  test.each([
    ['ERR DB index is out of range', 'configuration'],
    ['NOPERM this user has no permissions', 'out-of-reach'],
  ])('a database that is not given has a line of its own, and one only: %s', (reply, cause) => {
    const findings = redisAway('redis://here', `database 3 cannot be used, Redis says "${reply}"; do this`);
    expect(findings.filter(({ name }) => name === 'redis.database')).toEqual([findings[0]]);
    expect(findings[0]).toMatchObject({ state: 'wrong', cause, text: expect.stringContaining(reply) });
    expect(findings.map(({ name }) => name)).not.toContain('redis.reachable');
  });
});

describe('the verdict', () => {
  const wrong = (cause?: Finding['cause']): Finding => ({
    name: 'x',
    state: 'wrong',
    text: 'x',
    ...(cause && { cause }),
  });

  test('settings before reach, reach before all else', () => {
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
