import fc from 'fast-check';
import { type Decision, type DecisionPolicy, decide, decideChecked } from '../../../src/delivery/decide.ts';
import type { Group, Unit } from '../../../src/delivery/unit.ts';
import { commands, entryOf, everybodyOf, groups, unitOf, verdictFor, verdicts } from './entries.ts';

const policy: DecisionPolicy = {
  commands,
  onProfileFault: 'import-bare',
  sameAnswers: 0,
  expired: false,
  culpritShare: 0,
};
const policies: fc.Arbitrary<DecisionPolicy> = fc.record({
  commands: fc.constant(commands),
  onProfileFault: fc.constantFrom('import-bare' as const, 'dead-letter' as const),
  sameAnswers: fc.nat(6),
  expired: fc.boolean(),
  culpritShare: fc.double({ min: 0, max: 1, noNaN: true }),
});

const batch = (...units: readonly Unit[]): Group => ({ command: 'multiaccount_import', units, first: true });
const eventsOf = (units: readonly Unit[]): string[] =>
  units.flatMap(({ candidates }) => candidates.map(({ eventId }) => eventId));
const againUnits = ({ again }: Decision): readonly Unit[] => again.flatMap(everybodyOf);

it('puts every event of every user into exactly one list, whatever the answer', () => {
  fc.assert(
    fc.property(
      groups,
      verdicts,
      fc.subarray(['u0', 'u1', 'u2', 'u3', 'stranger']),
      policies,
      (group, verdict, fail, how) => {
        const decision = decide(group, verdict, fail, how);
        const placed = [
          ...eventsOf(decision.imported),
          ...decision.refused.map(({ entry }) => entry.eventId),
          ...eventsOf(againUnits(decision)),
          ...eventsOf(decision.later),
        ];
        expect(placed.sort()).toEqual(eventsOf(group.units).sort());
        // Nobody who was not in the call, and nobody twice in what follows.
        const sent = new Set(group.units.map(({ userId }) => userId));
        const follow = [...decision.imported, ...againUnits(decision), ...decision.later].map(
          ({ userId }) => userId,
        );
        expect(new Set(follow).size).toBe(follow.length);
        expect(
          [...follow, ...decision.refused.map(({ unit }) => unit.userId)].every((id) => sent.has(id)),
        ).toBe(true);
        // What follows is never empty, and what goes singly goes alone.
        for (const { units, command, first } of decision.again) {
          expect(units.length).toBeGreaterThan(0);
          expect(first).toBe(false);
          if (command === 'account_import') expect(units).toHaveLength(1);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

it('ends: calls that follow at once become fewer, or carry less', () => {
  // The weight of what is left to find out; it falls with every call of a run.
  const weight = ({ units, command }: Group): number =>
    units.reduce(
      (sum, unit) =>
        sum +
        20 * unit.candidates.length +
        (unit.bare === null ? 8 : 0) +
        (unit.failed ? 0 : 4) +
        { multiaccount_import: 2, account_check: 1, account_import: 0, register_account_v1: 0 }[command],
      units.length > 1 ? 1 + units.length : 0,
    );
  fc.assert(
    fc.property(groups, verdicts, policies, (group, verdict, how) => {
      const failing = verdict.class === 'done' ? group.units.map(({ userId }) => userId) : [];
      for (const next of decide(group, verdict, failing, how).again) {
        // A search ends for reasons of its own (split.test.ts).
        if (next.search === undefined) expect(weight(next)).toBeLessThan(weight(group));
      }
    }),
    { numRuns: 1_000 },
  );
});

it('done: imports everybody but those in FailAccounts, who go once more together', () => {
  const [a, b, c] = [unitOf(entryOf('a', 1)), unitOf(entryOf('b', 2)), unitOf(entryOf('c', 3))];
  const decision = decide(batch(a, b, c), verdictFor(0), ['b', 'c', 'stranger'], policy);
  expect(decision.imported).toEqual([a]);
  expect(decision.again).toEqual([
    {
      command: 'multiaccount_import',
      first: false,
      units: [
        { ...b, failed: true },
        { ...c, failed: true },
      ],
    },
  ]);
});

it('done: who fails a second time goes alone through the call that names the reason', () => {
  const [a, b] = [unitOf(entryOf('a', 1)), { ...unitOf(entryOf('b', 2)), failed: true }];
  const decision = decide(batch(a, b), verdictFor(0), ['b'], policy);
  expect(decision.again).toEqual([{ command: 'account_import', first: false, units: [b] }]);
});

it('done: a single call that lists its only account ends as an unknown answer, not in a loop', () => {
  const unit = { ...unitOf(entryOf('a', 1)), failed: true };
  const single: Group = { command: 'account_import', units: [unit], first: false };
  expect(decide(single, verdictFor(0), ['a'], policy).later).toEqual([unit]);
  expect(decide(single, verdictFor(0), ['a'], { ...policy, sameAnswers: 3 }).refused).toMatchObject([
    { reason: 'unknown', verdict: { errorCode: 0, meaning: expect.stringContaining('FailAccounts') } },
  ]);
  expect(decide(single, verdictFor(0), ['stranger'], policy).imported).toEqual([unit]);
});

it('done: an account that went without its profile is there, and its event ends as a profile letter', () => {
  const bare = { ...unitOf(entryOf('a', 1)), bare: verdictFor(40005, 'sensitive') };
  const decision = decide(batch(bare), verdictFor(0), [], policy);
  expect(decision.imported).toEqual([]);
  expect(decision.refused).toMatchObject([{ reason: 'profile', verdict: { errorCode: 40005 } }]);
});

it.each([70402, 60003, 40005, 70399])('%i: a call of several is searched, one of few at a time', (code) => {
  const units = [1, 2, 3].map((n) => unitOf(entryOf(`u${n}`, n)));
  const { again, ...rest } = decide(batch(...units), verdictFor(code), [], policy);
  expect(again.map((group) => [group.command, group.units.length])).toEqual([['account_import', 1]]);
  expect(again.flatMap(everybodyOf)).toEqual(units);
  expect(rest).toEqual({ imported: [], refused: [], later: [] });
});

it.each([
  [70402, 'rejected'],
  [70399, 'rejected'],
  [60015, 'rejected'],
])('%i: an account alone ends %s', (code, reason) => {
  const unit = unitOf(entryOf('a', 1));
  const { refused, again } = decide(batch(unit), verdictFor(code), [], policy);
  expect(refused).toMatchObject([{ entry: { eventId: '1-0' }, reason, verdict: { errorCode: code } }]);
  expect(again).toEqual([]);
});

it.each([40005, 40601, 40605, 40610, 80001])(
  '%i: the account goes again without its profile, or not, as configured',
  (code) => {
    const unit = unitOf(entryOf('a', 1));
    expect(decide(batch(unit), verdictFor(code), [], policy)).toMatchObject({
      refused: [],
      again: [{ units: [{ userId: 'a', bare: { errorCode: code } }] }],
    });
    expect(
      decide(batch(unit), verdictFor(code), [], { ...policy, onProfileFault: 'dead-letter' }),
    ).toMatchObject({
      refused: [{ reason: 'profile' }],
      again: [],
    });
    // Who has no profile cannot be refused for it.
    const plain = unitOf(entryOf('a', 1, {}));
    expect(decide(batch(plain), verdictFor(code), [], policy)).toMatchObject({
      refused: [{ reason: 'rejected' }],
      again: [],
    });
  },
);

it('a refused event gives way to the next older one of its user', () => {
  const unit = unitOf(entryOf('a', 2), entryOf('a', 1));
  const decision = decide(batch(unit), verdictFor(40005), [], policy);
  expect(decision.refused.map(({ entry }) => entry.eventId)).toEqual(['2-0']);
  expect(eventsOf(againUnits(decision))).toEqual(['1-0']);
  expect(againUnits(decision)[0]?.bare).toBeNull();
});

it('retry: everybody goes later, until it is too late', () => {
  const units = [unitOf(entryOf('a', 2), entryOf('a', 1)), unitOf(entryOf('b', 3))];
  expect(decide(batch(...units), verdictFor(70500), [], { ...policy, sameAnswers: 9 }).later).toEqual(units);
  const { refused, later } = decide(batch(...units), verdictFor(70500), [], { ...policy, expired: true });
  expect(later).toEqual([]);
  expect(refused.map(({ entry, reason }) => `${entry.eventId} ${reason}`)).toEqual([
    '2-0 expired',
    '1-0 expired',
    '3-0 expired',
  ]);
});

it('an unknown code: later three times, then split, then a letter', () => {
  const [a, b] = [unitOf(entryOf('a', 1)), unitOf(entryOf('b', 2))];
  for (const tries of [0, 1, 2]) {
    expect(decide(batch(a, b), verdictFor(79_999), [], { ...policy, sameAnswers: tries }).later).toEqual([
      a,
      b,
    ]);
  }
  expect(
    decide(batch(a, b), verdictFor(79_999), [], { ...policy, sameAnswers: 3 }).again.flatMap(everybodyOf),
  ).toEqual([a, b]);
  expect(decide(batch(a), verdictFor(79_999), [], { ...policy, sameAnswers: 3 }).refused).toMatchObject([
    { reason: 'unknown', verdict: { errorCode: 79_999 } },
  ]);
});

it.each([60016, 60007])('%i says nothing about users: asking is a bug that says so', (code) => {
  expect(() => decide(batch(unitOf(entryOf('a', 1))), verdictFor(code), [], policy)).toThrow(RangeError);
});

describe('account_check', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((userId, n) => ({ ...unitOf(entryOf(userId, n)), failed: true })) as [
    Unit,
    Unit,
    Unit,
  ];
  const plain = { ...unitOf(entryOf('p', 9, {})), failed: true };
  const check = (...units: readonly Unit[]): Group => ({ command: 'account_check', units, first: false });

  it('is asked once for several users who failed twice', () => {
    const { again } = decide(batch(a, b), verdictFor(0), ['a', 'b'], policy);
    expect(again).toEqual([{ command: 'account_check', first: false, units: [a, b] }]);
  });

  it('spares the single call of who is there and has nothing new to say', () => {
    const there = new Map([
      ['p', true],
      ['a', true],
      ['b', false],
    ]);
    const { imported, again } = decideChecked(check(plain, a, b, c), there, commands);
    expect(imported).toEqual([plain]);
    expect(again.flatMap(({ units }) => units.map((unit) => [unit.userId, unit.there]))).toEqual([
      ['a', true],
      ['b', false],
      ['c', false],
    ]);
    expect(again.every(({ command, units }) => command === 'account_import' && units.length === 1)).toBe(
      true,
    );
  });

  it('settles nothing when nothing came: everybody goes alone', () => {
    const { imported, again } = decideChecked(check(plain, a), new Map(), commands);
    expect(imported).toEqual([]);
    expect(again).toHaveLength(2);
  });

  it('an account that is there and refused ends as a profile letter, and is not made bare', () => {
    const single: Group = { command: 'account_import', units: [{ ...a, there: true }], first: false };
    expect(decide(single, verdictFor(70402), [], policy)).toMatchObject({
      refused: [{ reason: 'profile', verdict: { errorCode: 70402 } }],
      again: [],
    });
  });
});
