import { userOf, valueBytes, wrongAccounts, wrongBooks } from '../../../bench/stage/crowd.ts';
import type { Account } from '../../../simulator/accounts/account-store.ts';
import type { Totals } from '../../../src/ledger/totals.ts';

const crowd = { prefix: 'u', count: 3 };

function account(userId: string, nick: string): [string, Account] {
  const at = '2026-01-01T00:00:00.000Z';
  return [
    userId,
    { userId, nick, faceUrl: undefined, type: 0, importedAt: at, lastImportedAt: at, imports: 1 },
  ];
}
const exact = (version: number): [string, Account][] =>
  [0, 1, 2].map((i) => account(`u${i}`, userOf({ ...crowd, version }, i).nick));

describe('where the events went', () => {
  test('exactly where they should', () => {
    expect(wrongAccounts([crowd], new Map(exact(1)))).toEqual([]);
  });

  test('the newest profile counts, for those who have one', () => {
    const crowds = [crowd, { prefix: 'u', count: 1, version: 2 }];
    const [first, ...others] = exact(1);
    expect(wrongAccounts(crowds, new Map([first ?? account('', ''), ...others]))).toEqual([
      '1 accounts do not hold the newest profile',
    ]);
    expect(wrongAccounts(crowds, new Map([account('u0', 'Nick 0 v2'), ...others]))).toEqual([]);
  });

  test('a missing account and one too many do not make up for each other', () => {
    const [, ...others] = exact(1);
    expect(wrongAccounts([crowd], new Map([account('stranger', 'x'), ...others]))).toEqual([
      '1 of 3 users have no account',
      '1 accounts belong to nobody',
    ]);
  });
});

describe('the books', () => {
  const books = (more: Partial<Totals>): Totals => ({
    nowMs: 0,
    waiting: 0,
    parked: 0,
    usersInCalls: {},
    oldestWaitingMs: null,
    oldestUnfinishedMs: null,
    suspectedCalls: 0,
    accepted: 0,
    imported: 0,
    superseded: 0,
    deadLettered: 0,
    forgotten: 0,
    deadByReason: {},
    deadByCode: {},
    oldestLetterMs: null,
    ...more,
  });

  test('all that came has ended as imported or superseded', () => {
    const before = books({ accepted: 5, imported: 5 });
    expect(wrongBooks(before, books({ accepted: 15, imported: 12, superseded: 3 }), 10)).toEqual([]);
    expect(wrongBooks(before, books({ accepted: 14, imported: 14 }), 10)).toEqual([
      '10 events were written, 9 are in the books',
      '9 of 10 ended as imported or superseded',
    ]);
  });

  test('a redriven letter ends as imported and is dead no more', () => {
    const before = books({ accepted: 5, imported: 3, deadLettered: 2 });
    expect(wrongBooks(before, books({ accepted: 15, imported: 15 }), 10, 2)).toEqual([]);
    expect(wrongBooks(before, books({ accepted: 15, imported: 13, deadLettered: 2 }), 10, 2)).toEqual([
      '10 of 12 ended as imported or superseded',
      'dead letters changed by 0, not by -2',
    ]);
  });
});

test('values are counted without names and overhead', () => {
  expect(valueBytes({ prefix: 'u', count: 1 })).toBe('u0Nick 0 v1https://example.com/0.png'.length);
});
