import { checksOf, type Outcome, summaryLines } from '../../../../src/cli/demo/summary.ts';
import type { StoredLetter } from '../../../../src/ledger/letters/dead-letters.ts';

const signups = [
  { userId: 'a', nick: 'A' },
  { userId: 'b', nick: 'B' },
  { userId: 'b', nick: 'B2' },
  { userId: 'bad', nick: 'X' },
  { userId: 'rude', nick: 'R' },
];

const letter = (userId: string, reason: StoredLetter['reason'], errorCode: number): StoredLetter => ({
  ...{ eventId: `1-${userId}`, userId, reason, errorCode, errorInfo: `why ${userId}`, httpStatus: 200 },
  ...{ command: 'multiaccount_import', event: {}, attempts: [], firstSeenAt: 1, notBefore: null },
  ...{ state: 'dead', deadSince: 2, firstDeadAt: 2, redrives: [] },
});
const letters = [letter('bad', 'rejected', 70399), letter('rude', 'profile', 40005)];

/** `accounts`: the nick of each user who has an account. */
function outcomeOf(
  changes: { accounts?: Readonly<Record<string, string>>; imported?: number; surely?: number } = {},
): Outcome {
  const { accounts = { a: 'A', b: 'B2', rude: '' }, imported = 2, surely = 99 } = changes;
  const arrivals = { calls: 3, accepted: 3, items: 5, startedLastSecond: 0 };
  const byErrorCode = { '0': 2, '70169': 1 };
  return {
    ...{ signups, elapsedMs: 1_500, heldMs: 3_100, letters },
    totals: { accepted: 5, imported, superseded: 1, deadLettered: 2 },
    groups: letters.map((newest) => ({ ...newest, count: 1, newest })),
    accounts: Object.entries(accounts).map(([userId, nick]) => (nick === '' ? { userId } : { userId, nick })),
    quotas: { multiaccount_import: { perSecond: 100 } },
    facts: {
      commands: { multiaccount_import: { ...arrivals, maxSurelyInRollingSecond: surely, byErrorCode } },
    },
  };
}
const failed = (outcome: Outcome): string[] =>
  checksOf(outcome).flatMap(({ ok, text }) => (ok ? [] : [text]));

describe('summary of the demo', () => {
  test('every check passes when all signups are accounted for', () => {
    expect(failed(outcomeOf())).toEqual([]);
    const text = summaryLines(outcomeOf()).join('\n');
    expect(text).toContain('1 × rejected 70399');
    expect(text).toContain('for example "rude": why rude');
    expect(text).toContain('3.1 s of hold');
    expect(text).toContain('most calls in any second 99 of 100 allowed');
    expect(text).not.toContain('✗');
  });

  test('a lost event fails the check of the counts', () => {
    expect(failed(outcomeOf({ imported: 1 }))).toEqual([expect.stringMatching(/= 4 .* but 5 signed up/)]);
  });

  test.each([
    ['an account is missing', { b: 'B2', rude: '' }, /1 missing \(a\)/],
    ['a profile is old', { a: 'A', b: 'B', rude: '' }, /1 with an old nick \(b\)/],
    ['an account has no signup', { a: 'A', b: 'B2', rude: '', who: '' }, /1 without a signup \(who\)/],
    ['an account lost its nick', { a: '', b: 'B2', rude: '' }, /1 with an old nick \(a\)/],
  ])('the check of the accounts fails when %s', (_name, accounts, sentence) => {
    expect(failed(outcomeOf({ accounts: { ...accounts } }))).toEqual([expect.stringMatching(sentence)]);
  });

  test('a call over the quota fails its check', () => {
    expect(failed(outcomeOf({ surely: 101 }))).toEqual([expect.stringContaining('101 of 100')]);
  });
});
