import fc from 'fast-check';
import { decide, decideChecked } from '../../../src/delivery/policy/decide.ts';
import type { Decision, DecisionPolicy } from '../../../src/delivery/policy/decision.ts';
import {
  type ApiRequest,
  everybodyIn,
  FIRST_CALL,
  FOLLOW_UP,
  type PendingUser,
} from '../../../src/delivery/policy/pending-user.ts';
import { commands, entryOf, httpVerdict, pendingUserOf, requests, verdictFor, verdicts } from './entries.ts';

const policy: DecisionPolicy = {
  commands,
  onProfileFault: 'import-bare',
  whose: 'unknown',
  splitAfter: 2,
  endAfter: 3,
  startedAtMs: 1_000,
  sameAnswers: 0,
  expired: false,
};
const policies: fc.Arbitrary<DecisionPolicy> = fc.record({
  commands: fc.constant(commands),
  onProfileFault: fc.constantFrom('import-bare' as const, 'dead-letter' as const),
  whose: fc.constantFrom('theirs' as const, 'lone' as const, 'unknown' as const),
  splitAfter: fc.integer({ min: 2, max: 4 }),
  endAfter: fc.integer({ min: 3, max: 6 }),
  startedAtMs: fc.constant(1_000),
  sameAnswers: fc.nat(6),
  expired: fc.boolean(),
});

const batch = (...users: readonly PendingUser[]): ApiRequest => ({
  command: 'multiaccount_import',
  users,
  ...FIRST_CALL,
});
const eventsOf = (users: readonly PendingUser[]): string[] =>
  users.flatMap(({ events }) => events.map(({ eventId }) => eventId));
const suspicionOf = (user: PendingUser | undefined) => {
  if (!user?.suspicion) throw new Error('no suspect');
  return user.suspicion;
};
const againUnits = ({ again }: Decision): readonly PendingUser[] => again.flatMap(everybodyIn);

it('puts every event of every user into exactly one list, whatever the answer', () => {
  fc.assert(
    fc.property(
      requests,
      verdicts,
      fc.subarray(['u0', 'u1', 'u2', 'u3', 'stranger']),
      policies,
      (request, verdict, fail, how) => {
        const decision = decide(request, verdict, fail, how);
        const placed = [
          ...eventsOf(decision.imported),
          ...decision.refused.map(({ entry }) => entry.eventId),
          ...eventsOf(againUnits(decision)),
          ...eventsOf(decision.later),
        ];
        expect(placed.sort()).toEqual(eventsOf(everybodyIn(request)).sort());
        // Nobody who was not in the call, and nobody twice in what follows.
        const sent = new Set(everybodyIn(request).map(({ userId }) => userId));
        const follow = [...decision.imported, ...againUnits(decision), ...decision.later].map(
          ({ userId }) => userId,
        );
        expect(new Set(follow).size).toBe(follow.length);
        expect(
          [...follow, ...decision.refused.map(({ user }) => user.userId)].every((id) => sent.has(id)),
        ).toBe(true);
        // What follows is never empty, and what goes singly goes alone.
        for (const { users, command } of decision.again) {
          expect(users.length).toBeGreaterThan(0);
          if (command === 'account_import') expect(users).toHaveLength(1);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

it('nobody ends without an answer to a call of their own, but for a code that names the account', () => {
  fc.assert(
    fc.property(requests, verdicts, policies, (request, verdict, how) => {
      const { refused } = decide(request, verdict, [], how);
      if (verdict.class !== 'done' && request.users.length > 1) expect(refused).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

it('a suspect ends only after as many failures as chance does not explain, while others pass', () => {
  fc.assert(
    fc.property(requests, verdicts, policies, (request, verdict, how) => {
      const [user, ...others] = request.users;
      const isUnexplained = ['retry', 'unknown', 'app', 'throttle'].includes(verdict.class);
      if (others.length > 0 || !user?.suspicion || !isUnexplained || how.expired) return;
      const { refused } = decide(request, verdict, [], how);
      if (refused.length === 0) return;
      expect([how.whose, verdict.class === 'unknown' || verdict.class === 'app']).toEqual(['theirs', true]);
      expect(user.suspicion.failures + 1).toBeGreaterThanOrEqual(how.endAfter);
    }),
    { numRuns: 3_000 },
  );
});

it('done: imports everybody but those in FailAccounts, who go once more together', () => {
  const [a, b, c] = [
    pendingUserOf(entryOf('a', 1)),
    pendingUserOf(entryOf('b', 2)),
    pendingUserOf(entryOf('c', 3)),
  ];
  const decision = decide(batch(a, b, c), verdictFor(0), ['b', 'c', 'stranger'], policy);
  expect(decision.imported).toEqual([a]);
  expect(decision.again).toEqual([
    {
      command: 'multiaccount_import',
      ...FOLLOW_UP,
      users: [
        { ...b, inFailAccounts: true },
        { ...c, inFailAccounts: true },
      ],
    },
  ]);
});

it('done: who fails a second time goes alone through the call that names the reason', () => {
  const [a, b] = [
    pendingUserOf(entryOf('a', 1)),
    { ...pendingUserOf(entryOf('b', 2)), inFailAccounts: true },
  ];
  const decision = decide(batch(a, b), verdictFor(0), ['b'], policy);
  expect(decision.again).toEqual([{ command: 'account_import', ...FOLLOW_UP, users: [b] }]);
});

it('done: an account that went without its profile is there, and its event ends as a profile letter', () => {
  const bare = { ...pendingUserOf(entryOf('a', 1)), bare: verdictFor(40005, 'sensitive') };
  const decision = decide(batch(bare), verdictFor(0), [], policy);
  expect(decision.imported).toEqual([]);
  expect(decision.refused).toMatchObject([{ reason: 'profile', verdict: { errorCode: 40005 } }]);
});

it.each([70402, 60003, 40005, 70399])('%i: a call of several goes out again in five parts', (code) => {
  const users = Array.from({ length: 12 }, (_, n) => pendingUserOf(entryOf(`u${n}`, n)));
  const { again, ...rest } = decide(batch(...users), verdictFor(code), [], policy);
  expect(again.map((request) => [request.command, request.users.length, request.first])).toEqual([
    ['multiaccount_import', 3, false],
    ['multiaccount_import', 3, false],
    ['multiaccount_import', 3, false],
    ['multiaccount_import', 3, false],
  ]);
  expect(again.flatMap(everybodyIn)).toEqual(users);
  expect(rest).toEqual({ imported: [], refused: [], later: [] });
});

it.each([
  [70402, 'rejected'],
  [70399, 'rejected'],
  [60015, 'rejected'],
])('%i: an account alone ends %s', (code, reason) => {
  const user = pendingUserOf(entryOf('a', 1));
  const { refused, again } = decide(batch(user), verdictFor(code), [], policy);
  expect(refused).toMatchObject([{ entry: { eventId: '1-0' }, reason, verdict: { errorCode: code } }]);
  expect(again).toEqual([]);
});

it.each([40005, 40601, 40605, 40610, 80001])(
  '%i: the account goes again without its profile, or not, as configured',
  (code) => {
    const user = pendingUserOf(entryOf('a', 1));
    expect(decide(batch(user), verdictFor(code), [], policy)).toMatchObject({
      refused: [],
      again: [{ users: [{ userId: 'a', bare: { errorCode: code } }] }],
    });
    expect(
      decide(batch(user), verdictFor(code), [], { ...policy, onProfileFault: 'dead-letter' }),
    ).toMatchObject({
      refused: [{ reason: 'profile' }],
      again: [],
    });
    // Who has no profile cannot be refused for it.
    const plain = pendingUserOf(entryOf('a', 1, {}));
    expect(decide(batch(plain), verdictFor(code), [], policy)).toMatchObject({
      refused: [{ reason: 'rejected' }],
      again: [],
    });
  },
);

it('a refused event gives way to the next older one of its user', () => {
  const user = pendingUserOf(entryOf('a', 2), entryOf('a', 1));
  const decision = decide(batch(user), verdictFor(40005), [], policy);
  expect(decision.refused.map(({ entry }) => entry.eventId)).toEqual(['2-0']);
  expect(eventsOf(againUnits(decision))).toEqual(['1-0']);
  expect(againUnits(decision)[0]?.bare).toBeNull();
});

const unexplained: [string, ReturnType<typeof verdictFor>][] = [
  ['70500', verdictFor(70500)],
  ['an unlisted code', verdictFor(79_999)],
  ['403', httpVerdict(403)],
  ['60007', verdictFor(60007)],
];

describe.each(unexplained)('%s, which names nobody', (_, verdict) => {
  const users = Array.from({ length: 12 }, (__, n) => pendingUserOf(entryOf(`u${n}`, n)));
  const theirs: DecisionPolicy = { ...policy, whose: 'theirs' };
  const failedOnce = { ...batch(...users), failures: 1, failedAtMs: 500 };

  it('while nobody else passes: everybody goes later, together, however often', () => {
    for (const failures of [0, 1, 9])
      expect(decide({ ...batch(...users), failures }, verdict, [], policy).later).toEqual(users);
  });

  it('while others pass: once more together, then in parts', () => {
    const first = decide(batch(...users), verdict, [], theirs);
    expect([...first.later, ...first.again.flatMap(everybodyIn)]).toEqual(users);
    expect(first.again.length).toBeLessThanOrEqual(1);
    const second = decide(failedOnce, verdict, [], theirs);
    expect(second.later).toEqual([]);
    expect(second.again.map((request) => [request.users.length, request.failures])).toEqual([
      [3, 1],
      [3, 1],
      [3, 1],
      [3, 1],
    ]);
  });

  it('where calls often fail by chance, more failures are waited for', () => {
    const { later, again } = decide(failedOnce, verdict, [], { ...theirs, splitAfter: 4 });
    expect([...later, ...again.flatMap(everybodyIn)]).toEqual(users);
    expect(again.length).toBeLessThanOrEqual(1);
  });

  it('a part of several that fails while nobody passes sends one user ahead, and is not put off', () => {
    const part: ApiRequest = { ...FOLLOW_UP, command: 'multiaccount_import', users };
    const { again, later } = decide(part, verdict, [], policy);
    expect(later).toEqual([]);
    expect(again).toMatchObject([{ users: users.slice(0, 1), behind: { users: users.slice(1) } }]);
    // If that user passes, the others failed while somebody passed.
    expect(again[0]).toMatchObject({ first: false, failures: 1, failedAtMs: policy.startedAtMs });
  });

  it('a part of one user that fails is a suspect, who goes later alone', () => {
    const [user] = users as [PendingUser];
    const part: ApiRequest = { ...FOLLOW_UP, command: 'account_import', users: [user], failures: 1 };
    expect(decide(part, verdict, [], theirs).later).toMatchObject([
      { userId: 'u0', suspicion: { failures: 1, errorCode: verdict.errorCode, hasAccount: false } },
    ]);
    expect(decide(part, verdict, [], policy).later).toMatchObject([{ suspicion: null }]);
  });

  it('a canary that fails while others pass is a suspect, and the others go without it', () => {
    const [user, ...others] = users as [PendingUser, ...PendingUser[]];
    const behind = { command: 'multiaccount_import', users: others } as const;
    const canary: ApiRequest = { ...FIRST_CALL, command: 'account_import', users: [user], behind };
    const { again, later } = decide(canary, verdict, [], theirs);
    expect(later).toMatchObject([{ userId: 'u0', suspicion: { failures: 1 } }]);
    expect(again).toMatchObject([{ command: 'multiaccount_import', users: others }]);
    expect(decide(canary, verdict, [], policy).later).toEqual(users);
  });

  it('together nobody ends, however old: they are told apart first', () => {
    const { refused, again } = decide(batch(...users), verdict, [], { ...policy, expired: true });
    expect([refused, again.length]).toEqual([[], 4]);
  });

  it('alone and too old, the account comes bare if it can, and the event ends', () => {
    const [user] = users as [PendingUser];
    const alone: ApiRequest = { ...FIRST_CALL, command: 'account_import', users: [user] };
    const old: DecisionPolicy = { ...policy, expired: true, onProfileFault: 'dead-letter' };
    expect(decide(alone, verdict, [], old).refused).toMatchObject([{ reason: 'expired' }]);
  });
});

const suspect = (failures: number, event = {}, hasAccount = false): ApiRequest => ({
  ...FIRST_CALL,
  command: 'account_import',
  users: [
    {
      ...pendingUserOf(entryOf('a', 1, event)),
      exists: hasAccount,
      suspicion: { since: 1, failures, errorCode: 0, httpStatus: 403, errorInfo: '', hasAccount },
    },
  ],
});
const theirs: DecisionPolicy = { ...policy, whose: 'theirs' };

describe('a suspect whose fault does not pass', () => {
  it('ends at the third failure with the answer, and not while nobody else passes', () => {
    expect(decide(suspect(1), httpVerdict(403), [], theirs).later).toMatchObject([
      { suspicion: { failures: 2 } },
    ]);
    expect(decide(suspect(2), httpVerdict(403), [], theirs).refused).toMatchObject([
      { reason: 'unknown', verdict: { httpStatus: 403 } },
    ]);
    for (const failures of [2, 9, 99])
      expect(decide(suspect(failures), httpVerdict(403), [], policy).later).toMatchObject([
        { suspicion: { failures } },
      ]);
  });

  it('ends at the third failure, too, when each answer has another code', () => {
    const second = decide(suspect(1), httpVerdict(404), [], theirs).later;
    expect(second).toMatchObject([{ suspicion: { failures: 2, httpStatus: 404 } }]);
    expect(decide(suspect(2), httpVerdict(405), [], theirs).refused).toMatchObject([{ reason: 'unknown' }]);
  });

  it('ends when the event is too old, proved or not', () => {
    for (const whose of ['theirs', 'lone', 'unknown'] as const) {
      const { refused } = decide(suspect(0), httpVerdict(403), [], { ...policy, whose, expired: true });
      expect(refused).toMatchObject([{ reason: 'expired', verdict: { httpStatus: 403 } }]);
    }
  });

  it('with nobody to compare with ends after a while, since what everybody has for that long looks the same', () => {
    const lone: DecisionPolicy = { ...policy, whose: 'lone', sameAnswers: 9 };
    const at = (startedAtMs: number) => decide(suspect(1), httpVerdict(403), [], { ...lone, startedAtMs });
    expect(at(39_000).later).toMatchObject([{ suspicion: { failures: 1 } }]);
    expect(at(41_000).refused).toMatchObject([{ reason: 'unknown', verdict: { httpStatus: 403 } }]);
    expect(
      decide(suspect(1), httpVerdict(403), [], { ...lone, startedAtMs: 41_000, sameAnswers: 1 }).later,
    ).toHaveLength(1);
  });

  it('where calls often fail by chance, the account is tried without its profile as often as that demands', () => {
    const bare = suspect(9, { nick: '<script>' });
    const [user] = bare.users as [PendingUser];
    const alone = { ...bare, users: [{ ...user, bare: httpVerdict(403) }] };
    const often = { ...theirs, endAfter: 8 };
    expect(decide(alone, httpVerdict(403), [], often).refused).toEqual([]);
    expect(decide(alone, httpVerdict(403), [], { ...theirs, endAfter: 3 }).refused).toHaveLength(1);
  });

  it('with a profile: the account is tried without it before, and twice', () => {
    const whole = suspect(2, { nick: '<script>' });
    const { again, refused } = decide(whole, httpVerdict(403), [], theirs);
    expect(refused).toEqual([]);
    expect(again).toMatchObject([{ users: [{ bare: { httpStatus: 403 }, suspicion: { failures: 3 } }] }]);
    const [bare] = again as [ApiRequest];
    // It passes: what ends is the profile.
    expect(decide(bare, verdictFor(0), [], theirs).refused).toMatchObject([
      { reason: 'profile', verdict: { httpStatus: 403 } },
    ]);
    const failed = decide(bare, httpVerdict(403), [], theirs);
    expect(failed.later).toMatchObject([{ bare: null, suspicion: { failures: 4 } }]);
    const last = {
      ...bare,
      users: bare.users.map((user) => ({ ...user, suspicion: { ...suspicionOf(user), failures: 5 } })),
    };
    expect(decide(last, httpVerdict(403), [], theirs).refused).toMatchObject([{ reason: 'unknown' }]);
  });

  it('an older event takes the place of the one that ends', () => {
    const user = pendingUserOf(entryOf('a', 2), entryOf('a', 1));
    const two = { ...suspect(2), users: [{ ...user, suspicion: suspicionOf(suspect(2).users[0]) }] };
    const { refused, again } = decide(two, httpVerdict(403), [], theirs);
    expect(refused.map(({ entry, reason }) => `${entry.eventId} ${reason}`)).toEqual(['2-0 unknown']);
    expect(again).toMatchObject([{ users: [{ suspicion: null }] }]);
    expect(eventsOf(again.flatMap(everybodyIn))).toEqual(['1-0']);
  });
});

describe('a suspect whose fault may pass', () => {
  it('is tried for as long as it may be; its account is made without the profile meanwhile', () => {
    const { again } = decide(suspect(2, { nick: 'N' }), verdictFor(70500), [], theirs);
    expect(again).toMatchObject([{ users: [{ bare: { errorCode: 70500 } }] }]);
    const [bare] = again as [ApiRequest];
    const { later, refused } = decide(bare, verdictFor(0), [], theirs);
    expect(refused).toEqual([]);
    expect(later).toMatchObject([{ bare: null, exists: true, suspicion: { hasAccount: true, failures: 3 } }]);
    for (const failures of [5, 8, 98])
      expect(
        decide(suspect(failures, { nick: 'N' }, true), verdictFor(70500), [], theirs).later,
      ).toHaveLength(1);
  });

  it('ends when it is too old: as a letter of its profile if it has an account', () => {
    const old: DecisionPolicy = { ...theirs, expired: true };
    expect(decide(suspect(7), verdictFor(70500), [], old).refused).toMatchObject([{ reason: 'expired' }]);
    expect(decide(suspect(7, { nick: 'N' }, true), verdictFor(70500), [], old).refused).toMatchObject([
      { reason: 'profile' },
    ]);
    const last = decide(suspect(7, { nick: 'N' }), verdictFor(70500), [], old).again;
    expect(last).toMatchObject([{ users: [{ bare: { errorCode: 70500 } }] }]);
    expect(decide(last[0] as ApiRequest, verdictFor(70500), [], old).refused).toMatchObject([
      { reason: 'expired' },
    ]);
  });
});

it('an unknown code with nobody to compare with: later three times, without the profile, then a letter', () => {
  const lone: DecisionPolicy = { ...policy, whose: 'lone' };
  const a = pendingUserOf(entryOf('a', 1));
  for (const sameAnswers of [0, 1, 2])
    expect(decide(batch(a), verdictFor(79_999), [], { ...lone, sameAnswers }).later).toEqual([a]);
  const { again, refused } = decide(batch(a), verdictFor(79_999), [], { ...lone, sameAnswers: 3 });
  expect([refused, again.length]).toEqual([[], 1]);
  expect(again).toMatchObject([{ users: [{ bare: { errorCode: 79_999 } }] }]);
  const [bare] = again as [ApiRequest];
  expect(decide(bare, verdictFor(79_999), [], { ...lone, sameAnswers: 4 }).refused).toMatchObject([
    { reason: 'unknown', verdict: { errorCode: 79_999 } },
  ]);
  expect(decide(batch(a), verdictFor(79_999), [], { ...policy, sameAnswers: 9 }).later).toEqual([a]);
});

it('413: in parts at once, which know what was refused; and alone a matter of the profile', () => {
  const users = Array.from({ length: 10 }, (_, n) => pendingUserOf(entryOf(`u${n}`, n, { nick: 'nick' })));
  const { again } = decide(batch(...users), httpVerdict(413), [], policy);
  expect(again.map((request) => request.users.map(({ userId }) => userId))).toEqual([
    ['u0', 'u1'],
    ['u2', 'u3'],
    ['u4', 'u5'],
    ['u6', 'u7'],
    ['u8', 'u9'],
  ]);
  for (const { whole } of again) expect(whole).toMatchObject({ wasTooLarge: true, partsLeft: 5 });
  expect(decide(batch(...users.slice(0, 1)), httpVerdict(413), [], policy).again).toMatchObject([
    { users: [{ bare: { httpStatus: 413 } }] },
  ]);
});

describe('account_check', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((userId, n) => ({
    ...pendingUserOf(entryOf(userId, n)),
    inFailAccounts: true,
  })) as [PendingUser, PendingUser, PendingUser];
  const plain = { ...pendingUserOf(entryOf('p', 9, {})), inFailAccounts: true };
  const check = (...users: readonly PendingUser[]): ApiRequest => ({
    command: 'account_check',
    users,
    ...FOLLOW_UP,
  });

  it('is asked once for several users who failed twice', () => {
    const { again } = decide(batch(a, b), verdictFor(0), ['a', 'b'], policy);
    expect(again).toEqual([{ command: 'account_check', ...FOLLOW_UP, users: [a, b] }]);
  });

  it('spares the single call of who is there and has nothing new to say', () => {
    const there = new Map([
      ['p', true],
      ['a', true],
      ['b', false],
    ]);
    const { imported, again } = decideChecked(check(plain, a, b, c), there, commands);
    expect(imported).toEqual([plain]);
    expect(again.flatMap(({ users }) => users.map((user) => [user.userId, user.exists]))).toEqual([
      ['a', true],
      ['b', false],
      ['c', false],
    ]);
    expect(again.every(({ command, users }) => command === 'account_import' && users.length === 1)).toBe(
      true,
    );
  });

  it('settles nothing when nothing came: everybody goes alone', () => {
    const { imported, again } = decideChecked(check(plain, a), new Map(), commands);
    expect(imported).toEqual([]);
    expect(again).toHaveLength(2);
  });

  it('an account that is there and refused ends as a profile letter, and is not made bare', () => {
    const single: ApiRequest = { command: 'account_import', users: [{ ...a, exists: true }], ...FOLLOW_UP };
    expect(decide(single, verdictFor(70402), [], policy)).toMatchObject({
      refused: [{ reason: 'profile', verdict: { errorCode: 70402 } }],
      again: [],
    });
  });
});
