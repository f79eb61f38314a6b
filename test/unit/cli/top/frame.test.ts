import { stripVTControlCharacters } from 'node:util';
import { Answers } from '../../../../src/cli/top/answers.ts';
import { frameOf, type View } from '../../../../src/cli/top/frame.ts';
import { columns, painted } from '../../../../src/cli/top/line.ts';
import { Looks } from '../../../../src/cli/top/looks.ts';
import type { FeedCall } from '../../../../src/ops/feed/record.ts';
import type { Status } from '../../../../src/ops/status.ts';

/** What a screen shows of a state: drawing is pure, so that no terminal is needed. */

const NOW = Date.UTC(2026, 10, 30, 12, 0, 0);
const COMMAND = {
  waiting: 0,
  active: 3,
  delayed: 2,
  users: 412,
  quota: 100,
  rate: 99,
  startedLastSecond: 45,
};

const running: Status = {
  sdkAppId: 1400000000,
  intake: { waiting: 12_345, parked: 3, oldestAgeMs: 3_200 },
  calls: {
    multiaccount_import: COMMAND,
    account_import: {
      ...COMMAND,
      active: 0,
      delayed: 0,
      users: 0,
      quota: 200,
      rate: 198,
      startedLastSecond: 0,
    },
  },
  oldestUnfinishedAgeMs: 3_200,
  suspects: { calls: 0 },
  deadLetters: {
    total: 45,
    byReason: { profile: 15, rejected: 30 },
    byCode: { 0: 3, 40005: 12, 70402: 30 },
    oldestAgeMs: 10_920_000,
  },
  hold: null,
  paused: false,
  pause: null,
  totals: { accepted: 1_234_567, imported: 1_221_000, superseded: 12, deadLettered: 45, forgotten: 0 },
  redis: { memoryUsedRatio: 0.123, memory: 'ample', problems: [] },
  relay: null,
  reconcile: null,
  reconcileDueAt: null,
  workers: Array.from({ length: 12 }, (_, i) => ({
    id: `worker-${String(i).padStart(2, '0')}-4711-0a1b2c3d`,
    version: '0.2.0',
    lastSeen: NOW - 100 * i,
  })),
};
const held: Status = {
  ...running,
  hold: {
    ...{ errorCode: 70398, errorInfo: 'account quota is used up\u202e', kind: 'quota' },
    ...{ since: NOW - 55_000, nextProbeAt: NOW + 4_000 },
  },
  paused: true,
  pause: { reason: '供应商维护', since: NOW - 302_000, by: 'Ann (ann@ops)' },
};

function looksAt(status: Status): Looks {
  const looks = new Looks();
  for (let i = 60; i >= 0; i--) {
    const totals = {
      ...status.totals,
      accepted: status.totals.accepted - 120 * i,
      imported: status.totals.imported - (i % 7) - 98 * i,
    };
    looks.add({ atMs: 100_000 - 1_000 * i, redisMs: NOW - 1_000 * i, status: { ...status, totals } });
  }
  return looks;
}

function answersOf(counts: Readonly<Record<string, number>>): Answers {
  const answers = new Answers();
  const call = (answer: string): FeedCall => ({
    ...{ kind: 'call', at: NOW, command: 'multiaccount_import', class: 'live', users: 100, tries: 0, ms: 45 },
    ...{ imported: 100, deadLettered: 0, later: 0, again: 0, answer },
    errorInfo: answer === '0' ? '' : 'internal error, try again later',
  });
  const records = Object.entries(counts).flatMap(([answer, n]) =>
    Array.from({ length: n }, () => call(answer)),
  );
  answers.add({ worker: 'w', version: '0.2.0', leftOut: 0, records }, 98_000);
  return answers;
}

function viewOf(status: Status, more: Partial<View> = {}): View {
  return {
    redisUrl: 'redis://127.0.0.1:6379',
    looks: looksAt(status),
    nowMs: 100_000,
    trouble: '',
    answers: answersOf({
      0: 1_230,
      70169: 12,
      70500: 3,
      timeout: 2,
      502: 1,
      70202: 1,
      40006: 1,
      reset: 1,
    }).rows(100_000),
    leftOut: 0,
    senders: new Set(status.workers.map(({ id }) => id)),
    ...more,
  };
}

const drawn = (view: View, width: number, height?: number, isColoured = false): string[] =>
  painted(frameOf(view, { width, height }), width, isColoured);

test('80 columns by 24 lines show the parts that matter, and say what is not shown', () => {
  expect(drawn(viewOf(running), 80, 24)).toEqual([
    'imsync top  app 1400000000  redis://127.0.0.1:6379         12:00:00 UTC  q quits',
    'State      running',
    'Events     waiting 12,345 (the oldest for 3.2 s)  parked 3  in calls 412',
    '           accepted 1,234,567  imported 1,221,000  superseded 12',
    'Per second accepted 120  imported 99.0  dead-lettered 0.0  (over 5 s)',
    'Imported   ▇██████▇██████▇██████▇██████▇██████▇██████  42 s, at most 99.0/s',
    'Calls                          in 1 s     rate  quota active waiting retry users',
    '  multiaccount_import [###---]     45  of 99.0    100      3       0     2   412',
    '  account_import      [------]      0 of 198.0    200      0       0     0     0',
    'Dead       45 letters, the oldest for 3 h 2 min: rejected (30), profile (15)',
    '           codes: 70402 (30), 40005 (12), none (3)',
    'Redis      12 % of its memory limit used',
    'Answers    of the last 60 s; 12 workers send',
    '  multiaccount_import 0         1,230  98 %    45 ms  2.0 s ago',
    '  multiaccount_import 70169        12  <1 %    45 ms  2.0 s ago  internal error…',
    '  multiaccount_import 70500         3  <1 %    45 ms  2.0 s ago  internal error…',
    '  multiaccount_import timeout       2  <1 %    45 ms  2.0 s ago  internal error…',
    '  multiaccount_import 502           1  <1 %    45 ms  2.0 s ago  internal error…',
    '  multiaccount_import 40006         1  <1 %    45 ms  2.0 s ago  internal error…',
    '  … 2 more',
    'Workers    12',
    '  worker-00-4711-0a1b2c3d  0.2.0    seen 0 s ago',
    '  worker-01-4711-0a1b2c3d  0.2.0    seen 0 s ago',
    '  … 10 more',
  ]);
});

test('120 by 40 use the room', () => {
  const lines = drawn(viewOf(running), 120, 40);
  expect(lines).toHaveLength(36);
  expect(lines).toContain(
    '  multiaccount_import timeout       2  <1 %    45 ms  2.0 s ago  internal error, try again later',
  );
  expect(lines.at(-1)).toBe('  worker-11-4711-0a1b2c3d  0.2.0    seen 1 s ago');
  expect(lines.join('\n')).toContain(`[${'#'.repeat(14)}${'-'.repeat(16)}]`);
});

test('what is too narrow says so', () => {
  expect(drawn(viewOf(running), 50, 24)).toEqual([
    'q quits. imsync top needs 60 columns; the terminal',
    'has 50.',
  ]);
});

test.each([
  [60, 24],
  [80, 24],
  [80, 10],
  [80, 1],
  [200, 100],
])('no frame is larger than a terminal of %d by %d', (width, height) => {
  for (const status of [running, held]) {
    const lines = drawn(viewOf(status, { trouble: 'connect ECONNREFUSED' }), width, height);
    expect(lines.length).toBeLessThanOrEqual(height);
    expect(Math.max(...lines.map(columns))).toBeLessThanOrEqual(width);
  }
});

test('a hold and a pause stand in words, and texts from elsewhere cannot touch the terminal', () => {
  expect(drawn(viewOf(held), 80).slice(1, 4)).toEqual([
    'State      paused by Ann (ann@ops) for 5 min 2 s: 供应商维护',
    '           held (quota) for 55 s; next probe in 4 s',
    '           70398 account quota is used up\\u{202e}',
  ]);
  const later = drawn(viewOf(held, { nowMs: 105_000 }), 80);
  expect(later[2]).toBe('           held (quota) for 1 min 0 s; next probe due now');
});

test('without Redis the screen says for how long, and keeps what it showed', () => {
  const lines = drawn(viewOf(running, { nowMs: 112_000, trouble: 'connect ECONNREFUSED' }), 100, 40);
  expect(lines[1]).toBe('This is 12 s old: Redis gives no answer (connect ECONNREFUSED)');
  expect(lines[2]).toBe('State      running');
});

test('workers that tell nothing are named with their version', () => {
  const senders = new Set(running.workers.slice(1).map(({ id }) => id));
  const lines = drawn(viewOf(running, { senders, leftOut: 1_200, answers: [] }), 200);
  expect(lines).toContain(
    'Answers    of the last 60 s; 11 of 12 workers send; worker-00-4711-0a1b2c3d (version 0.2.0) sends nothing; ' +
      '1,200 calls are not counted: too many to be sent',
  );
  expect(lines).toContain('  no call yet');
  expect(lines).toContain('  worker-00-4711-0a1b2c3d  0.2.0    seen 0 s ago     sends no calls');
});

test('colours repeat what words say: without them the same text stands', () => {
  for (const status of [running, held]) {
    const coloured = drawn(viewOf(status), 80, 24, true);
    expect(coloured.join('')).toContain('\x1b[');
    // As styles of empty pieces leave no trace, only blanks at the end differ.
    expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(
      drawn(viewOf(status), 80, 24),
    );
    expect(drawn(viewOf(status), 80, 24).join('')).not.toContain('\x1b');
  }
});

test('an idle app without workers', () => {
  const idle: Status = {
    ...running,
    intake: { waiting: 0, parked: 0, oldestAgeMs: null },
    deadLetters: { total: 0, byReason: {}, byCode: {}, oldestAgeMs: null },
    redis: { memoryUsedRatio: null, memory: 'ample', problems: [] },
    workers: [],
  };
  const lines = drawn(viewOf(idle, { answers: [] }), 80);
  expect(lines).toContain('Dead       no dead letters');
  expect(lines).toContain('Redis      no memory limit');
  expect(lines).toContain('Answers    of the last 60 s; no worker runs: start one with imsync worker');
  expect(lines).toContain('Workers    none: start one with imsync worker');
});

test('a narrow terminal reads the whole sentence, with how to leave first', () => {
  expect(drawn(viewOf(running), 20, 24)).toEqual([
    'q quits. imsync top',
    'needs 60 columns;',
    'the terminal has 20.',
  ]);
});

test('a long address of Redis ends in … and leaves room for the time', () => {
  const [header = ''] = drawn(viewOf(running, { redisUrl: `redis://${'host.'.repeat(20)}` }), 60, 24);
  expect(header).toMatch(/^imsync top {2}app 1400000000 {2}redis:\/\/… {2}12:00:00 UTC {2}q quits$/);
  expect(columns(header)).toBe(60);
});

test('letters are counted in one way', () => {
  const many: Status = {
    ...running,
    deadLetters: { ...running.deadLetters, total: 10_000, byReason: { rejected: 10_000 } },
  };
  expect(drawn(viewOf(many), 100).join('\n')).toContain(
    '10,000 letters, the oldest for 3 h 2 min: rejected (10,000)',
  );
});
