import type { CallReport } from '../../../src/delivery/delivery-options.ts';
import { FIRST_CALL, type PendingUser } from '../../../src/delivery/policy/pending-user.ts';
import { type Answer, readAnswer } from '../../../src/im/answers.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';
import { createFleetMetrics } from '../../../src/ops/fleet-metrics.ts';
import { createProcessMetrics } from '../../../src/ops/process-metrics.ts';
import type { Status } from '../../../src/ops/status.ts';
import { eventually } from '../../support/eventually.ts';
import { parseMetrics } from '../../support/metrics.ts';

const COMMAND = 'multiaccount_import';

function call(answer: Answer): CallReport {
  const users = ['u1', 'u2'].map((userId) => ({ userId }) as PendingUser);
  return {
    callId: 'c1',
    tries: 0,
    request: { command: COMMAND, users, ...FIRST_CALL },
    slotClass: 'live',
    answer,
    durationMs: 40,
    verdict: verdictOf(COMMAND, answer),
    failAccounts: [],
    failed: 0,
    decision: undefined,
  };
}

const code = (errorCode: number): Answer =>
  readAnswer(200, {}, JSON.stringify({ ActionStatus: errorCode ? 'FAIL' : 'OK', ErrorCode: errorCode }));

describe('metrics of a process', () => {
  const create = () => createProcessMetrics('1.2.3', [COMMAND], () => 0);

  it('has its series from the start', async () => {
    const { registry } = create();
    const read = parseMetrics(await registry.metrics());
    for (const outcome of ['imported', 'superseded', 'dead-lettered'])
      expect(read.value('imsync_events_total', { outcome })).toBe(0);
    expect(read.value('imsync_slots_given_up_total')).toBe(0);
    expect(read.value('imsync_api_call_duration_seconds_count', { command: COMMAND })).toBe(0);
    expect(read.value('imsync_build_info', { version: '1.2.3', node: process.versions.node })).toBe(1);
    expect(read.value('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  it("looks at the event loop's lag every 20 ms, no more often: that is most of what an idle worker costs", async () => {
    const { registry } = create();
    const mean = async () =>
      parseMetrics(await registry.metrics()).value('nodejs_eventloop_lag_mean_seconds') || undefined;
    // Between two looks lies what was set, and what the loop was late.
    expect(await eventually('it has looked', mean, 30_000, 200)).toBeGreaterThan(0.018);
  });

  it('counts calls by what came back', async () => {
    const { registry, report } = create();
    const answers: Answer[] = [
      code(0),
      code(0),
      code(70500),
      readAnswer(502, {}, ''),
      readAnswer(429, {}, ''),
      readAnswer(404, {}, ''),
      readAnswer(302, {}, ''),
      readAnswer(200, {}, 'what?'),
      { kind: 'fault', fault: 'timeout', errorInfo: '', sent: true },
      { kind: 'fault', fault: 'connect', errorInfo: '', sent: false },
    ];
    for (const answer of answers) report.called(call(answer));
    const read = parseMetrics(await registry.metrics());
    expect(read.byLabel('imsync_api_calls_total', 'error_code')).toEqual({
      0: 2,
      70500: 1,
      'http-5xx': 1,
      'http-429': 1,
      'http-4xx': 1,
      'http-other': 1,
      garbage: 1,
      timeout: 1,
      connect: 1,
    });
    // The one that never had a connection was not sent.
    expect(read.value('imsync_call_users_count', { command: COMMAND })).toBe(9);
    expect(read.value('imsync_call_users_sum', { command: COMMAND })).toBe(18);
    expect(read.value('imsync_api_call_duration_seconds_sum', { command: COMMAND })).toBeCloseTo(0.36);
    expect(read.value('imsync_api_call_duration_seconds_bucket', { le: '0.025', command: COMMAND })).toBe(0);
    expect(read.value('imsync_api_call_duration_seconds_bucket', { le: '0.05', command: COMMAND })).toBe(9);
  });

  it('has few labels, whatever the API answers', async () => {
    const { registry, report } = create();
    for (let i = 0; i < 100; i++) report.called(call(code(91_000 + i)));
    for (let status = 300; status < 600; status++) report.called(call(readAnswer(status, {}, '')));
    const labels = parseMetrics(await registry.metrics()).byLabel('imsync_api_calls_total', 'error_code');
    expect(labels).toEqual({
      0: 0,
      other: 100,
      'http-other': 100,
      'http-4xx': 99,
      'http-429': 1,
      'http-5xx': 100,
    });
  });

  it('counts how events ended, and how long they took on the clock of Redis', async () => {
    const { registry, report } = create();
    const settlement = {
      imported: [
        { userId: 'u1', eventId: '1000000-0' },
        { userId: 'u2', eventId: '1003000-7' },
      ],
      superseded: 3,
      dead: [
        {
          ...{ eventId: '940000-0', userId: 'u3', reason: 'rejected' as const, code: 70399 },
          letter: { eventId: '940000-0' },
        },
      ],
      released: [],
      kept: null,
      publish: [],
      outcomes: [],
    };
    report.settled('c1', settlement, { kind: 'settled', returned: 0, resolved: 2, nowMs: 1_004_000 });
    report.settled('c1', settlement, { kind: 'lost' });
    const read = parseMetrics(await registry.metrics());
    expect(read.byLabel('imsync_events_total', 'outcome')).toEqual({
      imported: 2,
      superseded: 3,
      'dead-lettered': 1,
    });
    expect(read.value('imsync_dead_letters_resolved_total')).toBe(2);
    expect(read.value('imsync_event_latency_seconds_count')).toBe(3);
    expect(read.value('imsync_event_latency_seconds_sum')).toBeCloseTo(4 + 1 + 64);
    expect(read.value('imsync_event_latency_seconds_bucket', { le: '5' })).toBe(2);
  });

  it('counts slots given up and throttles', async () => {
    const { registry, report } = create();
    report.gaveUp(COMMAND, 12);
    report.throttled(COMMAND, verdictOf(COMMAND, code(60007)), 50);
    const read = parseMetrics(await registry.metrics());
    expect(read.value('imsync_slots_given_up_total')).toBe(1);
    expect(read.value('imsync_throttles_total', { command: COMMAND })).toBe(1);
  });
});

describe('metrics of the fleet', () => {
  const command = {
    waiting: 1,
    active: 2,
    delayed: 3,
    users: 40,
    quota: 100,
    rate: 99,
    startedLastSecond: 7,
  };
  const status: Status = {
    sdkAppId: 1,
    intake: { waiting: 11, parked: 12, oldestAgeMs: 2_500 },
    calls: { [COMMAND]: command },
    oldestUnfinishedAgeMs: 7_200_000,
    suspects: { calls: 3 },
    deadLetters: { total: 5, byReason: { rejected: 4, invalid: 1 }, byCode: {}, oldestAgeMs: null },
    hold: { errorCode: 70003, errorInfo: '', kind: 'credentials', since: 0, nextProbeAt: 0 },
    paused: true,
    pause: { reason: 'maintenance', since: 0 },
    totals: { accepted: 0, imported: 0, superseded: 0, deadLettered: 0, forgotten: 0 },
    redis: { memoryUsedRatio: 0.5, memory: 'ample', problems: [] },
    relay: null,
    reconcile: null,
    reconcileDueAt: null,
    workers: [{ id: 'w', version: '1', lastSeen: 0 }],
  };

  it('shows a status', async () => {
    const { registry, show } = createFleetMetrics();
    show(status);
    const read = parseMetrics(await registry.metrics());
    expect(read.value('imsync_waiting_events')).toBe(11);
    expect(read.value('imsync_parked_events')).toBe(12);
    expect(read.value('imsync_oldest_waiting_seconds')).toBe(2.5);
    expect(read.value('imsync_oldest_unfinished_seconds')).toBe(7_200);
    expect(read.value('imsync_suspected_calls')).toBe(3);
    expect(read.value('imsync_oldest_dead_letter_seconds')).toBe(0);
    expect(read.byLabel('imsync_calls', 'state')).toEqual({ waiting: 1, active: 2, delayed: 3 });
    expect(read.value('imsync_users_in_calls', { command: COMMAND })).toBe(40);
    expect(read.value('imsync_quota_per_second', { command: COMMAND })).toBe(100);
    expect(read.value('imsync_rate_per_second', { command: COMMAND })).toBe(99);
    expect(read.value('imsync_calls_started_last_second', { command: COMMAND })).toBe(7);
    expect(read.byLabel('imsync_dead_letters', 'reason')).toEqual({
      invalid: 1,
      rejected: 4,
      profile: 0,
      expired: 0,
      unknown: 0,
    });
    expect(read.value('imsync_held', { kind: 'credentials' })).toBe(1);
    expect(read.value('imsync_held', { kind: 'quota' })).toBe(0);
    expect(read.value('imsync_paused')).toBe(1);
    expect(read.value('imsync_workers')).toBe(1);
    expect(read.value('imsync_redis_memory_used_ratio')).toBe(0.5);
  });

  it('drops series that are over, and shows a hold of an unknown kind as other', async () => {
    const { registry, show } = createFleetMetrics();
    show(status);
    show({ ...status, hold: { ...status.hold, kind: 'a kind of tomorrow' } as Status['hold'], calls: {} });
    const read = parseMetrics(await registry.metrics());
    expect(read.value('imsync_held', { kind: 'credentials' })).toBe(0);
    expect(read.value('imsync_held', { kind: 'other' })).toBe(1);
    expect(read.byLabel('imsync_calls', 'state')).toEqual({});
    show({ ...status, hold: null, intake: { waiting: 0, parked: 0, oldestAgeMs: null } });
    const after = parseMetrics(await registry.metrics());
    expect(after.byLabel('imsync_held', 'kind').other).toBeUndefined();
    expect(Math.max(...Object.values(after.byLabel('imsync_held', 'kind')))).toBe(0);
    expect(after.value('imsync_oldest_waiting_seconds')).toBe(0);
  });
});
