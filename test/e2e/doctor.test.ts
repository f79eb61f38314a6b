import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Simulator } from '../../simulator/simulator.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { closeRedis, openRedis, whenReady } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { imsyncRun } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP, userSigForTest } from '../support/simulator.ts';

let redis: TestRedis;
let simulator: Simulator;
beforeAll(async () => {
  [redis, simulator] = await Promise.all([startRedis(), simulatorForTest()]);
});
afterAll(async () => {
  await Promise.all([redis.stop(), simulator.close()]);
});

interface Check {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly todo?: string;
}

/** Runs `imsync doctor --json` with good settings and `changes`. '' removes a setting. */
async function doctor(changes: Readonly<Record<string, string>> = {}) {
  const env = {
    IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
    IMSYNC_SDK_SECRET_KEY: TEST_APP.secretKey,
    IMSYNC_REDIS_URL: redis.url,
    IMSYNC_BASE_URL: simulator.url,
    ...changes,
  };
  const { code, stdout, stderr } = await imsyncRun(['doctor', '--json'], env);
  expect(stderr).toBe('');
  for (const secret of [TEST_APP.secretKey, changes.IMSYNC_USER_SIG ?? 'none given']) {
    expect(stdout).not.toContain(secret);
  }
  const report = JSON.parse(stdout) as { ok: boolean; exitCode: number; checks: Check[] };
  expect(report).toMatchObject({ ok: code === 0, exitCode: code });
  return {
    code,
    checks: report.checks,
    wrong: report.checks.filter(({ state }) => state === 'wrong').map(({ name }) => name),
    check: (name: string) => report.checks.find((check) => check.name === name),
  };
}

/** Each test starts a process. */
const TIMEOUT_MS = 60_000;

describe('imsync doctor', () => {
  test(
    'every check passes with one call, and nothing changes',
    async () => {
      simulator.reset();
      const { code, checks, check } = await doctor();
      expect(checks.filter(({ state }) => state === 'wrong')).toEqual([]);
      expect(code).toBe(0);
      expect(check('api.credentials')?.state).toBe('ok');
      expect(check('plan')?.text).toContain('70398');
      expect(simulator.calls().map(({ command, errorCode }) => [command, errorCode])).toEqual([
        ['account_check', 0],
      ]);
      expect(simulator.report().accounts).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'without --json it prints a line for each finding',
    async () => {
      const { code, stdout } = await imsyncRun(['doctor'], {
        IMSYNC_SDK_APP_ID: String(TEST_APP.sdkAppId),
        IMSYNC_USER_SIG: userSigForTest({ expire: 3_600 }),
        IMSYNC_REDIS_URL: redis.url,
        IMSYNC_BASE_URL: simulator.url,
      });
      expect(code).toBe(1);
      expect(stdout).toContain('✓ The API accepts the UserSig of administrator\n');
      expect(stdout).toMatch(/✗ The given UserSig is valid for another [\d.]+ min\n {4}→ Make a new UserSig/);
      expect(stdout).toMatch(/– No worker runs\n {4}→ Start a worker/);
      expect(stdout).toMatch(/Something is wrong: see the lines marked ✗\.\n?$/);
    },
    TIMEOUT_MS,
  );

  test(
    'a wrong key is reported',
    async () => {
      const { code, wrong, check } = await doctor({ IMSYNC_SDK_SECRET_KEY: 'f'.repeat(64) });
      expect([code, wrong]).toEqual([1, ['api.credentials']]);
      expect(check('api.credentials')).toMatchObject({ text: expect.stringContaining('70009') });
    },
    TIMEOUT_MS,
  );

  test(
    'a wrong app is reported as a wrong region',
    async () => {
      const { code, wrong, check } = await doctor({ IMSYNC_SDK_APP_ID: '1400000001' });
      expect([code, wrong]).toEqual([1, ['api.region']]);
      expect(check('api.region')?.text).toContain('70020');
    },
    TIMEOUT_MS,
  );

  test(
    'an API that is out of reach is reported',
    async () => {
      const { code, wrong } = await doctor({ IMSYNC_BASE_URL: 'http://127.0.0.1:1' });
      expect([code, wrong]).toEqual([3, ['api.reachable']]);
    },
    TIMEOUT_MS,
  );

  test(
    'the API is checked although Redis is out of reach',
    async () => {
      const { code, wrong, check } = await doctor({ IMSYNC_REDIS_URL: 'redis://:hidden@127.0.0.1:1' });
      expect([code, wrong]).toEqual([3, ['redis.reachable']]);
      expect(check('api.credentials')?.state).toBe('ok');
      expect(JSON.stringify(check('redis.reachable'))).not.toContain('hidden');
    },
    TIMEOUT_MS,
  );

  test(
    'a missing password of Redis is reported',
    async () => {
      const locked = await startRedis();
      const client = openRedis(locked.settings, 'loop', 'test', () => undefined);
      try {
        await whenReady(client, 10_000);
        await client.config('SET', 'requirepass', 'hidden');
        const { code, check } = await doctor({ IMSYNC_REDIS_URL: locked.url });
        expect(code).toBe(3);
        expect(check('redis.reachable')?.todo).toContain('IMSYNC_REDIS_PASSWORD');
        expect((await doctor({ IMSYNC_REDIS_URL: locked.url, IMSYNC_REDIS_PASSWORD: 'hidden' })).code).toBe(
          0,
        );
      } finally {
        await closeRedis(client);
        await locked.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a volatile Redis is reported: AOF off, eviction, replica',
    async () => {
      const volatile = await startRedis([
        ...['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru', '--maxmemory', '100mb'],
        ...['--replicaof', '127.0.0.1', String(redis.port)],
      ]);
      try {
        const { code, wrong } = await doctor({ IMSYNC_REDIS_URL: volatile.url });
        expect([code, wrong]).toEqual([1, ['redis.role', 'redis.policy', 'redis.persistence']]);
      } finally {
        await volatile.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a wrong clock is reported',
    async () => {
      const proxy = await datingProxy(simulator.url, 600_000);
      try {
        const { code, wrong, check } = await doctor({ IMSYNC_BASE_URL: proxy.url });
        expect([code, wrong]).toEqual([1, ['api.clock']]);
        expect(check('api.clock')?.text).toMatch(/clock is (9\.9|10) min behind the API's/);
      } finally {
        proxy.server.close();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'a hold and a missing worker are reported',
    async () => {
      const client = openRedis(redis.settings, 'loop', 'test', () => undefined);
      const keys = keysOf(TEST_APP.sdkAppId);
      try {
        await whenReady(client, 10_000);
        await client.xadd(keys.stream, '*', 'userId', 'waiting');
        const why = { errorCode: 60020, errorInfo: 'the plan has expired', kind: 'disabled' };
        expect(await createHoldState(client, keys).blocked({ epoch: '0', probe: false }, why)).toBe('set');
        const { code, wrong, check } = await doctor();
        expect([code, wrong]).toEqual([1, ['workers', 'hold']]);
        expect(check('hold')?.text).toContain('60020 the plan has expired');
      } finally {
        await client.flushall();
        await closeRedis(client);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'all invalid settings are reported, and nothing else is checked',
    async () => {
      const incomplete = await doctor({ IMSYNC_SDK_SECRET_KEY: '', IMSYNC_SDK_APP_ID: '' });
      expect(incomplete.code).toBe(2);
      expect(incomplete.checks.filter(({ name }) => name === 'configuration')).toHaveLength(2);
      const unreadable = await doctor({ IMSYNC_REGION: 'atlantis', IMSYNC_NONSENSE: '1' });
      expect(unreadable.code).toBe(2);
      expect(unreadable.wrong).toEqual(['configuration', 'configuration']);
    },
    TIMEOUT_MS,
  );
});

/** Starts a proxy to `target` whose clock is `aheadMs` ahead. */
async function datingProxy(target: string, aheadMs: number): Promise<{ server: Server; url: string }> {
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url = '' } = incoming;
    const onward = request(target + url, { method, headers }, (answer) => {
      const date = new Date(Date.now() + aheadMs).toUTCString();
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, date });
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
