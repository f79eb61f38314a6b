import type { PlannedSignup } from '../../../src/demo/plan.ts';
import { auditAccounts, checksOf, type Outcome, summaryLines } from '../../../src/demo/summary.ts';
import type { StoredLetter } from '../../../src/ledger/letters/dead-letters.ts';

const signup = (userId: string, nick: string): PlannedSignup => ({ user: { userId, nick }, checked: true });
const signups = [
  signup('a', 'A'),
  signup('b', 'B'),
  signup('b', 'B2'),
  signup('bad', 'X'),
  signup('rude', 'R'),
];

const letter = (userId: string, reason: StoredLetter['reason'], errorCode: number): StoredLetter => ({
  ...{ eventId: `1-${userId}`, userId, reason, errorCode, errorInfo: `why ${userId}`, httpStatus: 200 },
  ...{ command: 'multiaccount_import', event: {}, attempts: [], firstSeenAt: 1, notBefore: null },
  ...{ state: 'dead', deadSince: 2, firstDeadAt: 2, redrives: [] },
});
const letters = [letter('bad', 'rejected', 70399), letter('rude', 'profile', 40005)];
const accounts = new Map([
  ['a', 'A'],
  ['b', 'B2'],
  ['rude', ''],
]);

function outcomeOf(
  changes: { accounts?: ReadonlyMap<string, string>; imported?: number; surely?: number } = {},
): Outcome {
  const held = changes.accounts ?? accounts;
  const command = { waiting: 0, active: 0, delayed: 0, users: 0, quota: 100, rate: 99, startedLastSecond: 0 };
  const arrivals = {
    calls: 3,
    accepted: 3,
    refused: 0,
    items: 5,
    startedLastSecond: 0,
    maxInRollingSecond: 101,
  };
  return {
    ...{ total: 5, elapsedMs: 1_500, heldMs: 3_100, letters, audit: auditAccounts(signups, letters, held) },
    status: {
      sdkAppId: 1,
      intake: { waiting: 0, parked: 0, oldestAgeMs: null },
      calls: { multiaccount_import: command },
      oldestUnfinishedAgeMs: 7_200_000,
      suspects: { calls: 3 },
      deadLetters: { total: 2, byReason: {}, byCode: {}, oldestAgeMs: 1 },
      ...{
        hold: null,
        paused: false,
        pause: null,
        workers: [],
        redis: { memoryUsedRatio: null, memory: 'ample' as const },
      },
      totals: { accepted: 5, imported: changes.imported ?? 2, superseded: 1, deadLettered: 2, forgotten: 0 },
    },
    facts: {
      accounts: held.size,
      longestStallMs: 30,
      commands: {
        multiaccount_import: {
          ...arrivals,
          maxSurelyInRollingSecond: changes.surely ?? 99,
          byErrorCode: { '0': 2, '70169': 1 },
        },
      },
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
    expect(text).toContain('101 of 100 allowed (at least 99: the simulator stalled for 30 ms');
    expect(text).not.toContain('✗');
  });

  test('a lost event fails the check of the counts', () => {
    expect(failed(outcomeOf({ imported: 1 }))).toEqual([expect.stringMatching(/= 4 .* but 5 signed up/)]);
  });

  test.each<[string, [string, string][], RegExp]>([
    [
      'an account is missing',
      [
        ['b', 'B2'],
        ['rude', ''],
      ],
      /1 missing \(a\)/,
    ],
    [
      'a profile is old',
      [
        ['a', 'A'],
        ['b', 'B'],
        ['rude', ''],
      ],
      /1 with an old nick \(b\)/,
    ],
    ['an account has no signup', [...accounts, ['who', '']], /1 without a signup \(who\)/],
    [
      'an account lost its nick',
      [
        ['a', ''],
        ['b', 'B2'],
        ['rude', ''],
      ],
      /1 with an old nick \(a\)/,
    ],
  ])('the check of the accounts fails when %s', (_name, held, sentence) => {
    expect(failed(outcomeOf({ accounts: new Map(held) }))).toEqual([expect.stringMatching(sentence)]);
  });

  test('a call over the quota fails its check', () => {
    expect(failed(outcomeOf({ surely: 101 }))).toEqual([expect.stringContaining('101 of 100')]);
  });
});
