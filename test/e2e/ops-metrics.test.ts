import type { Simulator } from '../../simulator/simulator.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { type OpsWorker, startOpsWorker, workerEnv } from '../support/ops.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { simulatorForTest, TEST_APP } from '../support/simulator.ts';

const BATCH = 'multiaccount_import';
const SINGLE = 'account_import';

/** What the API reports by its own names, in the words of the metric. */
const asLabel: Readonly<Record<string, string>> = {
  'http-502': 'http-5xx',
  reset: 'reset',
  garbage: 'garbage',
};

describe('metrics against what the API saw', () => {
  let redisServer: TestRedis;
  let simulator: Simulator;
  let redis: RedisClient;
  let worker: OpsWorker;
  const keys = keysOf(TEST_APP.sdkAppId);

  beforeAll(async () => {
    redisServer = await startRedis();
    simulator = await simulatorForTest();
    redis = openRedis(redisServer.settings, 'loop', 'test', () => undefined);
  }, 120_000);
  afterAll(async () => {
    worker?.signal('SIGKILL');
    await worker?.ended;
    if (redis) await closeRedis(redis);
    await simulator?.close();
    await redisServer?.stop();
  }, 120_000);

  it('shows the same numbers', async () => {
    simulator.setFaults({
      rules: [
        { match: { times: 2, command: BATCH }, action: { errorCode: 70500 } },
        { match: { times: 1, command: BATCH }, action: { httpStatus: 502 } },
        { match: { times: 1, command: BATCH }, action: { garbage: true } },
        { match: { times: 1, command: BATCH }, action: { reset: 'before' } },
        { match: { userIds: ['gone-1', 'gone-2'] }, action: { failAccounts: true, singleCode: 70399 } },
        { match: { userIds: ['odd-1'] }, action: { failAccounts: true, singleCode: 99123 } },
      ],
    });
    // Before a worker runs, so that what a call carries is known: two events of user-0 share it.
    const push = (...fields: string[]) => redis.xadd(keys.stream, '*', ...fields);
    for (let i = 0; i < 250; i++) await push('userId', `user-${i}`, 'nick', `n${i}`);
    await push('userId', 'user-249', 'nick', 'newer');
    for (const userId of ['gone-1', 'gone-2', 'odd-1']) await push('userId', userId);
    await push('user', 'misspelt');
    const accepted = 255;
    worker = await startOpsWorker({
      ...workerEnv(redisServer.url, simulator.url),
      IMSYNC_RETRY_BASE_MS: '10',
      IMSYNC_RETRY_MAX_MS: '20',
    });

    const read = await eventually(
      'all events ended',
      async () => {
        const metrics = await worker.metrics();
        const ended = metrics.byLabel('imsync_events_total', 'outcome');
        const sum = Object.values(ended).reduce((all, n) => all + n, 0);
        const dead = metrics.byLabel('imsync_dead_letters', 'reason');
        // The gauges are up to a second old.
        return sum === accepted && Object.values(dead).reduce((all, n) => all + n, 0) === 4 && metrics;
      },
      60_000,
    );
    expect(read.byLabel('imsync_events_total', 'outcome')).toEqual({
      imported: 250,
      superseded: 1,
      'dead-lettered': 4,
    });
    expect(read.byLabel('imsync_dead_letters', 'reason')).toMatchObject({
      invalid: 1,
      rejected: 2,
      unknown: 1,
    });

    const report = simulator.report();
    for (const command of [BATCH, SINGLE]) {
      const of = report.commands[command];
      const byLabel: Record<string, number> = {};
      for (const [end, n] of Object.entries(of?.byErrorCode ?? {})) {
        const label = asLabel[end] ?? (end === '99123' ? 'other' : end);
        byLabel[label] = (byLabel[label] ?? 0) + n;
      }
      const calls: Record<string, number> = {};
      for (const label of Object.keys(byLabel))
        calls[label] = read.value('imsync_api_calls_total', { command, error_code: label }) ?? Number.NaN;
      expect(calls).toEqual(byLabel);
      expect(read.value('imsync_call_users_count', { command })).toBe(of?.calls);
      expect(read.value('imsync_api_call_duration_seconds_count', { command })).toBe(of?.calls);
      expect(read.value('imsync_call_users_sum', { command })).toBe(
        simulator
          .calls()
          .filter((call) => call.command === command)
          .reduce((sum, { items }) => sum + items, 0),
      );
    }
    // No other labels than those that the API knows of.
    const total = Object.values(read.byLabel('imsync_api_calls_total', 'error_code')).reduce(
      (a, b) => a + b,
      0,
    );
    expect(total).toBe(report.allCommands.calls);
    expect(read.value('imsync_event_latency_seconds_count')).toBe(254);
    expect(read.value('imsync_redis_reachable')).toBe(1);
    expect(read.value('imsync_quota_per_second', { command: BATCH })).toBe(100);
    expect(read.value('imsync_quota_per_second', { command: SINGLE })).toBe(200);
    expect(read.value('imsync_waiting_events')).toBe(0);
    expect(read.value('imsync_workers')).toBe(1);
  }, 120_000);

  it('shows the hold, and the events that wait meanwhile', async () => {
    simulator.setFaults({ rules: [{ action: { errorCode: 60020 } }] });
    for (let i = 0; i < 5; i++) await redis.xadd(keys.stream, '*', 'userId', `held-${i}`);
    const read = await eventually('the hold shows', async () => {
      const metrics = await worker.metrics();
      return metrics.value('imsync_held', { kind: 'disabled' }) === 1 && metrics;
    });
    expect(read.byLabel('imsync_held', 'kind')).toMatchObject({ credentials: 0, quota: 0, region: 0 });
    expect((await worker.ops('/readyz')).status).toBe(200);
    expect((await worker.ops('/livez')).status).toBe(200);
    const { status, json } = await worker.ops('/status');
    expect(status).toBe(200);
    expect(json).toMatchObject({ sdkAppId: TEST_APP.sdkAppId, paused: false, hold: { errorCode: 60020 } });
    const { intake, calls, totals } = json;
    expect(intake.waiting + intake.parked + calls[BATCH].users + calls[SINGLE].users).toBe(5);
    expect(totals.accepted).toBe(260);

    simulator.setFaults({});
    await eventually(
      'the hold is over',
      async () => (await worker.metrics()).byLabel('imsync_events_total', 'outcome').imported === 255,
      60_000,
    );
    await eventually('it no longer shows', async () => {
      const metrics = await worker.metrics();
      return metrics.value('imsync_held', { kind: 'disabled' }) === 0;
    });
  }, 120_000);
});
