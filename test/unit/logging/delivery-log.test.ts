import type { DeliveryReport } from '../../../src/delivery/delivery-report.ts';
import type { Verdict } from '../../../src/im/verdicts.ts';
import { logReport } from '../../../src/logging/delivery-log.ts';
import { createLogger } from '../../../src/logging/log.ts';

const { jest } = import.meta;

/** `performance.now()` is the test's, too. */
beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
});
afterEach(() => {
  jest.useRealTimers();
});

function setUp(level = 'info') {
  const lines: string[] = [];
  const returned: number[] = [];
  const write = (text: string) => {
    const { level: of, msg } = JSON.parse(text) as Record<string, unknown>;
    lines.push(`${of} ${msg}`);
  };
  const report = logReport(createLogger(level, {}, { write }), (count) => returned.push(count));
  return { report, lines, returned };
}

const verdict = { errorCode: 60011, httpStatus: 200, meaning: 'too many calls' } as Verdict;
type Called = Parameters<DeliveryReport['called']>[0];
const call = (more: object = {}): Called =>
  ({
    callId: 'c1',
    command: 'multiaccount_import',
    slotClass: 'live',
    users: ['anna'],
    strangers: 0,
    tries: 1,
    durationMs: 1,
    lateMs: 0,
    answer: { kind: 'api', httpStatus: 200, errorCode: 0, errorInfo: '', body: {} },
    verdict: { class: 'done', errorCode: 0, httpStatus: 200, meaning: 'done', errorInfo: '' },
    ...more,
  }) as unknown as Called;
type Settlement = Parameters<DeliveryReport['settled']>[1];
type Settled = Parameters<DeliveryReport['settled']>[2];
const settlement = (dead: object[]) => ({ dead }) as unknown as Settlement;
const settled = (more: object = {}) =>
  ({ kind: 'settled', resolved: 0, returned: 0, ...more }) as unknown as Settled;

describe('trouble that comes with every call is a line in ten seconds', () => {
  const kinds: [string, RegExp, (report: DeliveryReport) => void][] = [
    [
      'a throttle',
      /"too often": too many calls/,
      (report) => report.throttled('account_import', verdict, 10),
    ],
    ['records of another version', /another version/, (report) => report.foreign('c1', '9')],
    ['users nobody asked for', /FailAccounts names users/, (report) => report.called(call({ strangers: 2 }))],
  ];
  it.each(kinds)('%s', (_what, words, meet) => {
    const { report, lines } = setUp();
    const said = () => lines.filter((line) => words.test(line)).length;
    for (let i = 0; i < 500; i++) meet(report);
    expect(said()).toBe(1);
    jest.advanceTimersByTime(9_999);
    meet(report);
    expect(said()).toBe(1);
    jest.advanceTimersByTime(1);
    meet(report);
    expect(said()).toBe(2);
  });

  it('and one kind does not hide another', () => {
    const { report, lines } = setUp();
    for (const [, , meet] of kinds) meet(report);
    for (const [, words] of kinds) expect(lines.filter((line) => words.test(line))).toHaveLength(1);
  });
});

it('dead letters are a line for each reason and code, however many they are', () => {
  const { report, lines, returned } = setUp();
  const dead = (reason: string, code: number) => ({ reason, code, eventId: 'e', userId: 'anna' });
  report.settled(
    'c1',
    settlement([dead('rejected', 70402), dead('rejected', 70402), dead('rejected', 1), dead('profile', 1)]),
    settled({ resolved: 2, returned: 3 }),
  );
  expect(lines).toEqual([
    'warn dead-lettered as rejected: 2 events, see imsync dlq list',
    'warn dead-lettered as rejected: 1 event, see imsync dlq list',
    'warn dead-lettered as profile: 1 event, see imsync dlq list',
    'info dead letters resolved by newer imports',
  ]);
  expect(lines.join()).not.toContain('anna');
  expect(returned).toEqual([3]);
  report.settled('c2', settlement([]), settled());
  expect(lines).toHaveLength(4);
});

it('a run that lost its record says nothing of what it would have settled', () => {
  const { report, lines, returned } = setUp('debug');
  const dead = { reason: 'rejected', code: 1, eventId: 'e', userId: 'anna' };
  report.settled('c1', settlement([dead]), { kind: 'lost' } as unknown as Settled);
  expect([lines, returned]).toEqual([[], []]);
});

it('users stand in the log at debug alone', () => {
  const info = setUp('info');
  info.report.called(call());
  expect(info.lines).toHaveLength(1);
  const debug = setUp('debug');
  debug.report.called(call());
  expect(debug.lines).toContain('debug users of the call');
});
