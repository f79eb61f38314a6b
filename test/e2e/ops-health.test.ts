import { fileURLToPath } from 'node:url';
import type { Simulator } from '../../simulator/simulator.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { type OpsWorker, startOpsWorker, workerEnv } from '../support/ops.ts';
import { imsyncRun } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';

const keys = keysOf(TEST_APP.sdkAppId);
const wedge = fileURLToPath(new URL('../support/wedge.js', import.meta.url));

describe('the health of a worker', () => {
  let redisServer: TestRedis;
  let simulator: Simulator;
  let redis: RedisClient;
  let worker: OpsWorker;
  const env = () => workerEnv(redisServer.url, simulator.url);
  const is = (path: string, status: number) =>
    eventually(`${path} answers ${status}`, async () => {
      const answer = await worker.ops(path);
      return answer.status === status && answer;
    });

  beforeAll(async () => {
    redisServer = await startRedis();
    simulator = await simulatorForTest();
    redis = openRedis(redisServer.settings, 'loop', 'test', () => undefined);
    worker = await startOpsWorker(env());
  }, 120_000);
  afterAll(async () => {
    worker?.signal('SIGKILL');
    await worker?.ended;
    if (redis) await closeRedis(redis);
    await simulator?.close();
    await redisServer?.stop();
  }, 120_000);

  it('listens on loopback, on a port that the log names', async () => {
    expect(worker.opsUrl).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
    for (const path of ['/livez', '/healthz', '/readyz']) {
      const { status, json, headers } = await worker.ops(path);
      expect([path, status, json]).toEqual([path, 200, { status: 'ok' }]);
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect((await worker.ops('/metrics')).headers.get('content-type')).toContain('text/plain');
  });

  it('answers 404 to everything else, and reads no body', async () => {
    const others: [string, RequestInit][] = [
      ['/', {}],
      ['/metrics/', {}],
      ['/livez', { method: 'POST', body: 'x'.repeat(100_000) }],
      ['/status', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{' }],
      ['/readyz', { method: 'DELETE' }],
    ];
    for (const [path, init] of others) {
      const { status, json } = await worker.ops(path, init);
      expect([path, status, typeof json?.error]).toEqual([path, 404, 'string']);
    }
    const { status, text } = await worker.ops('/livez', { method: 'HEAD' });
    expect([status, text]).toEqual([200, '']);
  });

  it('is ready only while Redis keeps what it accepts', async () => {
    await redis.config('SET', 'appendonly', 'no');
    expect((await is('/readyz', 503)).json.problems.join()).toContain('append-only file is off');
    await redis.config('SET', 'appendonly', 'yes');
    await is('/readyz', 200);

    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await is('/readyz', 503)).json.problems.join()).toContain('allkeys-lru');
    await redis.config('SET', 'maxmemory-policy', 'noeviction');
    await is('/readyz', 200);

    await redis.config('SET', 'maxmemory', '1000');
    expect((await is('/readyz', 503)).json.problems.join()).toContain('no memory left');
    await redis.config('SET', 'maxmemory', '0');
    await is('/readyz', 200);

    await redis.replicaof('127.0.0.1', 1);
    expect((await is('/readyz', 503)).json.problems.join()).toContain('replica');
    await redis.replicaof('NO', 'ONE');
    await is('/readyz', 200);
  }, 120_000);

  it('is alive and answers everything while Redis is away', async () => {
    await redisServer.kill();
    expect((await is('/readyz', 503)).json.problems).toEqual([expect.stringContaining('cannot be reached')]);
    expect((await is('/status', 503)).json.error).toContain('cannot be reached');
    expect((await worker.ops('/livez')).status).toBe(200);
    const metrics = await worker.metrics();
    expect(metrics.value('imsync_redis_reachable')).toBe(0);
    expect(metrics.names.has('imsync_events_total')).toBe(true);
    expect(metrics.names.has('imsync_waiting_events')).toBe(false);
    await redisServer.restart();
    await is('/readyz', 200);
    await is('/status', 200);
    expect((await worker.metrics()).value('imsync_redis_reachable')).toBe(1);
  }, 120_000);

  it('is alive and answers everything while Redis hangs', async () => {
    process.kill(redisServer.pid(), 'SIGSTOP');
    try {
      expect((await is('/readyz', 503)).json.problems).toEqual([expect.stringContaining('did not answer')]);
      expect((await is('/status', 503)).json.error).toContain('did not answer');
      const metrics = await worker.metrics();
      expect(metrics.value('imsync_redis_reachable')).toBe(0);
      expect(metrics.names.has('imsync_waiting_events')).toBe(false);
      expect((await worker.ops('/livez')).status).toBe(200);
    } finally {
      process.kill(redisServer.pid(), 'SIGCONT');
    }
    await is('/readyz', 200);
  }, 120_000);

  it('does not start on a port in use, and says what to set', async () => {
    const port = new URL(worker.opsUrl).port;
    const { code, stdout, stderr } = await imsyncRun(['worker'], { ...env(), IMSYNC_OPS_PORT: port });
    expect(code).toBe(2);
    expect(stderr).toContain(`127.0.0.1 port ${port}: the port is in use, perhaps by another worker`);
    expect(stderr).toContain('IMSYNC_OPS_PORT');
    // It took no work and gave no sign of life.
    expect(stdout).toBe('');
    expect((await worker.ops('/status')).json.workers).toHaveLength(1);
  }, 120_000);

  it('is not ready while it stops, with a call on the wire', async () => {
    simulator.setFaults({ rules: [{ action: { latencyMs: [3_000, 3_000] } }] });
    const leaving = await startOpsWorker(env());
    worker.signal('SIGTERM');
    await worker.ended;
    await redis.xadd(keys.stream, '*', 'userId', 'slow-1');
    await eventually('the call is on the wire', () => simulator.calls().length === 1);
    leaving.signal('SIGTERM');
    const { json } = await eventually('it says so', async () => {
      const answer = await leaving.ops('/readyz');
      return answer.status === 503 && answer;
    });
    expect(json.problems).toEqual(['The worker is stopping.']);
    expect((await leaving.ops('/livez')).status).toBe(200);
    expect(await leaving.ended).toBe(0);
    expect(simulator.accounts.has('slow-1')).toBe(true);
  }, 120_000);

  it('is not alive when any one of its loops hangs', async () => {
    const loops = ['coalescer', 'slot queue', 'sweeper', 'prober', 'call worker', 'notices'];
    const wedged = await Promise.all(
      loops.map((loop) =>
        startOpsWorker({
          ...env(),
          ...{ NODE_OPTIONS: `--import=${wedge}`, WEDGE: loop },
          IMSYNC_NOTIFY_URLS: 'slack+http://127.0.0.1:9/nobody',
        }),
      ),
    );
    try {
      // Those who fetch and those who send have nothing to do without events. Users of their own, so that
      // nobody waits for the call of another.
      let pushed = 0;
      const pushing = setInterval(() => {
        redis.xadd(keys.stream, '*', 'userId', `wedged-${++pushed}`).catch(() => undefined);
      }, 100);
      try {
        await Promise.all(
          wedged.map(async (one, i) => {
            const { json } = await eventually(
              `/livez of the worker without its ${loops[i]} answers 503`,
              async () => {
                const answer = await one.ops('/livez');
                return answer.status === 503 && answer;
              },
              100_000,
            );
            expect(json.status).toBe('stuck');
            expect(json.stuck.map(({ loop }: { loop: string }) => loop.split(' of ')[0])).toContain(loops[i]);
            expect(Date.parse(json.stuck[0].since)).toBeLessThan(Date.now() - 30_000);
            expect((await one.ops('/readyz')).status).toBe(200);
          }),
        );
      } finally {
        clearInterval(pushing);
      }
    } finally {
      for (const one of wedged) one.signal('SIGKILL');
      await Promise.all(wedged.map(({ ended }) => ended));
    }
  }, 180_000);
});
