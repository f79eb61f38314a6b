import type { CallReport, DeliveryReport } from '../../../src/delivery/delivery-options.ts';
import { type ApiRequest, FIRST_CALL, type PendingUser } from '../../../src/delivery/policy/pending-user.ts';
import { readAnswer } from '../../../src/im/answers.ts';
import { withoutUsers } from '../../../src/im/redact.ts';
import { type Verdict, verdictOf } from '../../../src/im/verdicts.ts';
import { callLine, createDeliveryLog } from '../../../src/logging/delivery-log.ts';
import { createLogger } from '../../../src/logging/log.ts';

const { jest } = import.meta;

/** The test also controls `performance.now()`. */
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
  const report = createDeliveryLog(createLogger(level, {}, { write }), (count) => returned.push(count));
  return { report, lines, returned };
}

const verdict = { errorCode: 60011, httpStatus: 200, meaning: 'too many calls' } as Verdict;
type Called = Parameters<DeliveryReport['called']>[0];
const call = (more: object = {}): Called =>
  ({
    callId: 'c1',
    request: { command: 'multiaccount_import', users: [{ userId: 'anna' }] },
    slotClass: 'live',
    failAccounts: [],
    failed: 0,
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

describe('a trouble that comes with every call is logged once in ten seconds', () => {
  const kinds: [string, RegExp, (report: DeliveryReport) => void][] = [
    [
      'a throttle',
      /"too often": too many calls/,
      (report) => report.throttled('account_import', verdict, 10),
    ],
    [
      'users that the call did not hold',
      /FailAccounts names users/,
      (report) => report.called(call({ failAccounts: ['anna', 'x', 'y'], failed: 1 })),
    ],
    [
      'a call of another version',
      /a call of another version is left for a worker that makes it/,
      (report) => report.left?.('c1', '2'),
    ],
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

  it('one kind does not hide another', () => {
    const { report, lines } = setUp();
    for (const [, , meet] of kinds) meet(report);
    for (const [, words] of kinds) expect(lines.filter((line) => words.test(line))).toHaveLength(1);
  });
});

it('dead letters have one line for each reason and code', () => {
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

it('a run that lost its record logs nothing about its settlement', () => {
  const { report, lines, returned } = setUp('debug');
  const dead = { reason: 'rejected', code: 1, eventId: 'e', userId: 'anna' };
  report.settled('c1', settlement([dead]), { kind: 'lost' } as unknown as Settled);
  expect([lines, returned]).toEqual([[], []]);
});

it('user IDs appear in the log at debug only', () => {
  const info = setUp('info');
  info.report.called(call());
  expect(info.lines).toHaveLength(1);
  const debug = setUp('debug');
  debug.report.called(call());
  expect(debug.lines).toContain('debug users of the call');
});

/** A call of `imported` + `later` + `again` users, of whom so many were decided on in each way. */
function callReport(
  errorCode: number,
  { imported = 0, later = 0, again = 0 }: { imported?: number; later?: number; again?: number },
  errorInfo = '',
): CallReport {
  const answer = readAnswer(200, {}, JSON.stringify({ ErrorCode: errorCode, ErrorInfo: errorInfo }));
  const all = Array.from({ length: imported + later + again }, (_, i) => ({ userId: `user-${i}` }));
  const users = all as PendingUser[];
  const request: ApiRequest = { command: 'multiaccount_import', users, ...FIRST_CALL };
  return {
    ...{ callId: 'c1', tries: 0, request, slotClass: 'live', answer, durationMs: 23.4 },
    verdict: verdictOf('multiaccount_import', answer),
    ...{ failAccounts: [], failed: 0 },
    decision: {
      imported: users.slice(0, imported),
      refused: [],
      later: users.slice(imported, imported + later),
      again: again > 0 ? [{ ...request, users: users.slice(imported + later) }] : [],
    },
  };
}

describe('the line of a call', () => {
  it('is short when every user is imported', () => {
    expect(callLine(callReport(0, { imported: 100 }))).toEqual({
      sentence: 'call made: imported 100 users',
      fields: {
        callId: 'c1',
        command: 'multiaccount_import',
        class: 'live',
        users: 100,
        imported: 100,
        errorCode: 0,
        ms: 23,
      },
    });
    expect(callLine(callReport(0, { imported: 1 })).sentence).toBe('call made: imported 1 user');
  });

  it('accounts for every user when some are not imported', () => {
    expect(callLine(callReport(0, { imported: 98, again: 2 })).sentence).toBe(
      'call made: imported 98 of 100 users, 2 to be sent again',
    );
    expect(callLine(callReport(70500, { later: 100 }, 'busy'))).toEqual({
      sentence: 'call answered: internal error of the service; of 100 users: 100 to be retried',
      fields: {
        callId: 'c1',
        command: 'multiaccount_import',
        class: 'live',
        users: 100,
        imported: 0,
        later: 100,
        errorCode: 70500,
        verdict: 'retry',
        errorInfo: 'busy',
        ms: 23,
      },
    });
  });

  it('names no user, even if the API does', () => {
    const line = callLine(callReport(70402, { again: 100 }, 'UserID user-17 and "user-3" are bad'));
    expect(JSON.stringify(line)).not.toMatch(/user-\d/);
    expect(line.fields).toMatchObject({ errorInfo: 'UserID (user) and "(user)" are bad' });
  });

  it('replaces short user IDs only where they stand alone', () => {
    expect(withoutUsers('user 7 of 70402: id=7, [u1].', ['7', 'u1'])).toBe(
      'user (user) of 70402: id=(user), [(user)].',
    );
    expect(withoutUsers('alice@example and alice@example2', ['alice@example', 'alice@example2'])).toBe(
      '(user) and (user)',
    );
  });
});
