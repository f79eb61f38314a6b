import { audit } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import { drained, linesOf, logOf, type Stage, setStage } from '../support/stage.ts';

let stage: Stage;
afterEach(() => stage.end(), 60_000);

const pendingCalls = () => stage.simulator.calls().filter(({ outcome }) => outcome === 'pending').length;

test('imports what waits, says one line a call, and ends on SIGTERM with 0', async () => {
  stage = await setStage();
  await stage.push({ userId: 'alice', nick: 'Alice' });
  const worker = await stage.worker();
  await drained(stage);
  await stage.push({ userId: 'bob' });
  await drained(stage);
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);

  expect([...stage.simulator.accounts.keys()].sort()).toEqual(['alice', 'bob']);
  const calls = linesOf(worker, 'call made');
  expect(calls).toHaveLength(stage.simulator.calls().length);
  expect(calls[0]).toMatchObject({
    level: 'info',
    command: 'multiaccount_import',
    class: 'live',
    users: 1,
    imported: 1,
    errorCode: 0,
    ms: expect.any(Number),
    callId: expect.any(String),
  });
  expect(logOf(worker).at(-1)).toMatchObject({ msg: 'worker stopped' });
  expect(worker.stderr()).toBe('');
  expect(await stage.client.hlen(stage.keys.workers)).toBe(0);
}, 120_000);

test.each(['SIGTERM', 'SIGHUP'] as const)(
  'on %s the calls on the wire are finished and the rest is left for the next worker',
  async (signal) => {
    stage = await setStage({ latencyMs: [1_500, 1_500] });
    const first = await stage.worker({
      IMSYNC_BATCH_MAX_SIZE: '1',
      IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: '5',
    });
    for (let i = 0; i < 40; i++) await stage.push({ userId: `u${i}` });
    await eventually('calls on the wire', () => pendingCalls() >= 3);
    first.signal(signal);
    if (signal === 'SIGHUP') {
      // A terminal that is closed sends it twice.
      await first.line('signal received');
      first.signal('SIGHUP');
    }
    expect(await first.ended).toBe(0);

    // Whatever the API got was heard to its end and written down.
    const { calls, accounts } = stage.simulator;
    expect(pendingCalls()).toBe(0);
    expect(calls().length).toBeLessThan(40);
    expect(linesOf(first, 'call made')).toHaveLength(calls().length);
    expect(Number(await stage.client.hget(stage.keys.books, 'imported'))).toBe(accounts.size);
    expect((await audit(stage.client, stage.keys)).problems).toEqual([]);

    stage.simulator.setFaults({});
    await stage.worker();
    await drained(stage);
    expect(accounts.size).toBe(40);
    // Nobody was called twice: nothing was taken away from under a call.
    expect([...accounts.values()].every(({ imports }) => imports === 1)).toBe(true);
  },
  120_000,
);

test('on SIGTERM during a hold it ends at once, and the events wait', async () => {
  stage = await setStage({ scenario: { rules: [{ action: { errorCode: 60016 } }] } });
  const worker = await stage.worker();
  await stage.push({ userId: 'alice' });
  await eventually('the hold', async () => (await stage.client.hexists(stage.keys.hold, 'held')) === 1);
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  expect(logOf(worker).at(-1)).toMatchObject({ msg: 'worker stopped' });
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);

  stage.simulator.setFaults({});
  await stage.worker();
  await drained(stage);
  expect([...stage.simulator.accounts.keys()]).toEqual(['alice']);
}, 120_000);

test('on SIGTERM while Redis is away it ends within its time-out', async () => {
  stage = await setStage();
  const worker = await stage.worker({ IMSYNC_SHUTDOWN_TIMEOUT_MS: '1500' });
  await stage.redis.kill();
  await worker.line('Redis is lost; waiting for it');
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(0);
  await stage.redis.restart();
}, 120_000);

test('Redis that goes away and comes back is waited for; nothing is lost', async () => {
  stage = await setStage({ latencyMs: [20, 200] });
  const worker = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '2' });
  for (let i = 0; i < 100; i++) await stage.push({ userId: `u${i}` });
  await eventually('calls on the wire', () => pendingCalls() >= 2);
  // An orderly stop, so that the file holds all that was acknowledged.
  await stage.redis.shutdown();
  await worker.line('Redis is lost; waiting for it');
  await stage.redis.restart();
  await drained(stage, 90_000);
  expect(stage.simulator.accounts.size).toBe(100);
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  expect(linesOf(worker, 'Redis is lost; waiting for it')).toHaveLength(1);
}, 120_000);

test('a second signal ends it at once', async () => {
  stage = await setStage({ scenario: { rules: [{ action: { hangMs: -1 } }] } });
  const worker = await stage.worker();
  await stage.push({ userId: 'alice' });
  await eventually('a call on the wire', () => stage.simulator.report().hangs === 1);
  worker.signal('SIGTERM');
  await worker.line('signal received');
  worker.signal('SIGTERM');
  expect(await worker.ended).toBe(1);
}, 120_000);

describe('refuses to start', () => {
  beforeEach(async () => {
    stage = await setStage();
  }, 120_000);

  const refused = async (env: Readonly<Record<string, string>>): Promise<[number | string, string]> => {
    const { code, stdout, stderr } = await stage.verb(['worker'], env);
    expect(stdout).not.toContain('worker started');
    return [code, stderr];
  };

  test('when Redis is away: 3', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    const [code, said] = await refused({ IMSYNC_REDIS_URL: url });
    expect(code).toBe(3);
    expect(said).toMatch(
      /^imsync: Redis cannot be reached at redis:.*ECONNREFUSED.*Nothing listens there: check IMSYNC_REDIS_URL/,
    );
    expect(said.trimEnd().split('\n')).toHaveLength(1);
  }, 120_000);

  test('without an append-only file, and with a policy that evicts: 2', async () => {
    const volatile = await startRedis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru']);
    try {
      const [code, said] = await refused({ IMSYNC_REDIS_URL: volatile.url });
      expect(code).toBe(2);
      expect(said.trimEnd().split('\n')).toEqual([
        expect.stringMatching(/^imsync: Redis may evict events: maxmemory-policy is allkeys-lru\. Set /),
        expect.stringMatching(
          /Redis would lose events at a restart: its append-only file is off\. Set appendonly yes/,
        ),
      ]);
      const allowed = await stage.worker({
        IMSYNC_REDIS_URL: volatile.url,
        IMSYNC_REDIS_ALLOW_VOLATILE: 'true',
      });
      allowed.signal('SIGTERM');
      expect(await allowed.ended).toBe(0);
    } finally {
      await volatile.stop();
    }
  }, 120_000);

  test('without a key, an app, or with a variable that nobody knows: 2', async () => {
    const [code, said] = await refused({ IMSYNC_SDK_SECRET_KEY: '' });
    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^imsync: No credentials are given; set IMSYNC_SDK_SECRET_KEY/),
    ]);
    const [appCode, appSaid] = await refused({ IMSYNC_SDK_APP_ID: '' });
    expect([appCode, appSaid]).toEqual([2, expect.stringMatching(/^imsync: IMSYNC_SDK_APP_ID is not given/)]);
    const [oddCode, oddSaid] = await refused({ IMSYNC_QUOTTA_SHARE: '1' });
    expect([oddCode, oddSaid]).toEqual([
      2,
      expect.stringMatching(/^imsync: IMSYNC_QUOTTA_SHARE is not a variable/),
    ]);
  }, 120_000);

  test('with a key file that is not there: 2', async () => {
    const [code, said] = await refused({
      IMSYNC_SDK_SECRET_KEY: '',
      IMSYNC_SDK_SECRET_KEY_FILE: '/nowhere/key',
    });
    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^imsync: The file of IMSYNC_SDK_SECRET_KEY_FILE cannot be read/),
    ]);
  }, 120_000);
});
