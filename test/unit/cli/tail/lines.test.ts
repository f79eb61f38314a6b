import { jsonLineOf, lineOf } from '../../../../src/cli/tail/lines.ts';
import type { FeedCall, FeedOutcome } from '../../../../src/ops/feed/record.ts';

const AT = Date.UTC(2026, 10, 30, 12, 0, 0, 123);
const call: FeedCall = {
  ...{ kind: 'call', at: AT, command: 'multiaccount_import', class: 'retry', users: 100, tries: 1 },
  ...{ answer: '70169', errorInfo: 'time-out inside', ms: 45 },
  ...{ imported: 0, deadLettered: 0, later: 100, again: 0 },
};
const outcome: FeedOutcome = {
  ...{ kind: 'outcome', at: AT, eventId: '1796000189606-0', userId: 'bob' },
  ...{ outcome: 'dead-lettered', errorCode: 70402, reason: 'rejected', hasAccount: false },
};

test('a call and an outcome stand in the same columns', () => {
  expect([
    lineOf(call, 'host-1'),
    lineOf({ ...call, answer: '0', errorInfo: '', tries: 0, later: 0, imported: 98, again: 2 }, 'host-1'),
    lineOf(outcome, 'host-1'),
    lineOf(
      { ...outcome, outcome: 'imported', errorCode: 0, reason: undefined, hasAccount: true } as never,
      'w',
    ),
    lineOf({ ...outcome, reason: 'profile', hasAccount: true }, 'w'),
  ]).toEqual([
    '2026-11-30T12:00:00.123Z  call           multiaccount_import  retry    100 users    70169     45 ms  100 to be retried, run 2, time-out inside  (host-1)',
    '2026-11-30T12:00:00.123Z  call           multiaccount_import  retry    100 users        0     45 ms  98 imported, 2 to be sent again  (host-1)',
    '2026-11-30T12:00:00.123Z  dead-lettered  bob                  1796000189606-0  rejected 70402',
    '2026-11-30T12:00:00.123Z  imported       bob                  1796000189606-0',
    '2026-11-30T12:00:00.123Z  dead-lettered  bob                  1796000189606-0  profile 70402 (the account exists)',
  ]);
});

test('texts from elsewhere are one line and cannot touch the terminal', () => {
  const evil = 'a\x1b[2J\n\u202eb\u{e0041}\ud800';
  const line = lineOf({ ...outcome, userId: evil }, evil);
  expect(line).toContain('a\\u{1b}[2J\\u{a}\\u{202e}b\\u{e0041}\\u{d800}');
  const json = jsonLineOf({ ...call, errorInfo: evil }, evil);
  for (const text of [line, json, lineOf({ ...call, errorInfo: evil, command: evil }, evil)])
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u);
  expect(JSON.parse(json)).toMatchObject({ errorInfo: evil, worker: evil });
});

test('JSON begins with time, kind and worker, and holds every field', () => {
  expect(jsonLineOf(outcome, 'host-1')).toBe(
    '{"time":"2026-11-30T12:00:00.123Z","kind":"outcome","worker":"host-1","eventId":"1796000189606-0",' +
      '"userId":"bob","outcome":"dead-lettered","errorCode":70402,"reason":"rejected","hasAccount":false}',
  );
});
