import { seededRandom, stickyFraction } from '../../simulator/randomness.ts';
import type { Scenario } from '../../simulator/scenario/scenario.ts';
import type { DeadReason } from '../../src/ledger/letters/dead-letters.ts';

/** How an event must be found in the end, if nothing newer of its user was imported. */
export interface Fate {
  readonly reason: DeadReason;
  readonly errorCode: number;
}

/** One event as it is written to the stream. `fate` null: it can be imported. */
export interface Signup {
  /** Whose it is; '' when the entry does not say so in a way that counts. */
  readonly userId: string;
  readonly fields: readonly (string | Buffer)[];
  readonly nick: string;
  readonly faceUrl: string;
  readonly fate: Fate | null;
}

export const SEED = 7;
const BAD_SHARE = 0.006;
const SENSITIVE = 'forbidden';

/** What is wrong with accounts and profiles: the same at every call. */
export const CALM_SCENARIO: Scenario = {
  sensitiveWords: [SENSITIVE],
  latencyMs: [5, 60],
  badAccountsInBatch: { default: 'fail-accounts', byCode: { 70402: 'fail-call', 40005: 'fail-call' } },
  emptyFailAccounts: 'rotating',
  rules: [
    { match: { rate: 0.05 }, action: { strangers: ['never-sent'] } },
    {
      name: 'bad',
      match: { userIdPattern: '^u', ratePerAccount: BAD_SHARE, sticky: true },
      action: { accountCode: 70402 },
    },
    {
      match: { command: 'multiaccount_import', userIdPattern: '^flaky', timesPerAccount: 1 },
      action: { failAccounts: true },
    },
    { match: { command: 'multiaccount_import', userIdPattern: '^stubborn' }, action: { failAccounts: true } },
    { match: { userIdPattern: '^doomed' }, action: { failAccounts: true, singleCode: 79999 } },
  ],
};

/** The same, and 5 % of each transient code, and broken connections. */
export const SCENARIO: Scenario = {
  ...CALM_SCENARIO,
  rules: [
    ...[70169, 70202, 70500, 40006].map((errorCode) => ({ match: { rate: 0.05 }, action: { errorCode } })),
    { match: { rate: 0.01 }, action: { httpStatus: 502 } },
    { match: { rate: 0.01 }, action: { reset: 'after' as const } },
    { match: { rate: 0.02 }, action: { latencyMs: [300, 900] as const } },
    ...(CALM_SCENARIO.rules ?? []),
  ],
};

/** Accounts that were deleted lately: the simulator answers 70399. */
export const GONE: readonly string[] = Array.from({ length: 12 }, (_, i) => `gone-${i}`);

export function isBad(userId: string): boolean {
  return /^u/.test(userId) && stickyFraction(SEED, 'bad', userId) < BAD_SHARE;
}

const invalid: Fate = { reason: 'invalid', errorCode: 0 };

/** `count` events of many users who share them, in the order in which they happen. The same every time. */
export function makeSignups(count: number): Signup[] {
  const random = seededRandom(SEED);
  const below = (n: number): number => Math.floor(random() * n);
  const plain = (userId: string, i: number, fate: Fate | null, more: readonly string[] = []): Signup => {
    const nick = `nick ${i}`;
    const faceUrl = `https://example.com/${i}.png`;
    const fields = ['userId', userId, 'nick', nick, 'faceUrl', faceUrl, ...more];
    return { userId, fields, nick, faceUrl, fate };
  };
  const withNick = (userId: string, i: number, nick: string, fate: Fate): Signup => ({
    ...plain(userId, i, fate),
    fields: ['userId', userId, 'nick', nick],
    nick,
  });
  /** Entries that do not hold up, of all kinds; those with a user of their own spoil nobody's profile. */
  const malformed: ((i: number) => Signup)[] = [
    (i) => ({ ...plain('', i, invalid), fields: ['nick', 'nobody'] }),
    (i) => ({ ...plain('', i, invalid), fields: ['userId', '', 'nick', 'nobody'] }),
    (i) => ({ ...plain('', i, invalid), fields: ['userId', `long-${'x'.repeat(40)}-${i}`] }),
    (i) => ({
      ...plain('', i, invalid),
      fields: ['userId', `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`],
    }),
    (i) => ({ ...plain('', i, invalid), fields: ['userId', `名-${i}`] }),
    (i) => ({ ...plain('', i, invalid), fields: ['userId', Buffer.from([0x61, 0xff, 0xfe])] }),
    (i) => plain('administrator', i, invalid),
    (i) => plain(`@TGS#${i}`, i, invalid),
    (i) => plain(`@RBT#not-${i}`, i, invalid),
    (i) => plain(`m${i}`, i, invalid, ['userId', `m-other-${i}`]),
    (i) => plain(`m${i}`, i, invalid, ['occurredAt', 'yesterday']),
    (i) => ({
      ...plain(`m${i}`, i, invalid),
      fields: ['userId', `m${i}`, 'nick', Buffer.from([0xc3, 0x28])],
    }),
    (i) => withNick(`m${i}`, i, 'n'.repeat(70_000), invalid),
    (i) => ({ ...plain(`m${i}`, i, invalid), fields: ['userId', `m${i}`, 'extra', 'e'.repeat(70_000)] }),
    // These stand between good events of the same user.
    (i) => plain(`u${below(1_500)}`, i, invalid, ['type', '1']),
    (i) => plain(`u${below(1_500)}`, i, invalid, ['type', '7']),
    (i) => plain(`u${below(1_500)}`, i, invalid, ['replyTo', 'two words']),
  ];
  return Array.from({ length: count }, (_, i): Signup => {
    const lot = random();
    if (lot < 0.02) {
      const kind = malformed[below(malformed.length)];
      if (kind !== undefined) return kind(i);
    }
    if (lot < 0.03) return plain(`flaky-${below(40)}`, i, null);
    if (lot < 0.035) return plain(`stubborn-${below(20)}`, i, null);
    if (lot < 0.037) return plain(`doomed-${below(10)}`, i, { reason: 'unknown', errorCode: 79999 });
    if (lot < 0.042) return plain(`gone-${below(GONE.length)}`, i, { reason: 'rejected', errorCode: 70399 });
    if (lot < 0.05) return plain(`robot-${below(30)}`, i, invalid, ['type', '1']);
    const userId = `u${below(1_500)}`;
    if (isBad(userId)) return plain(userId, i, { reason: 'rejected', errorCode: 70402 });
    if (lot < 0.06) return withNick(userId, i, `${SENSITIVE} ${i}`, { reason: 'profile', errorCode: 40005 });
    if (lot < 0.065) {
      return withNick(userId, i, `${i} ${'n'.repeat(600)}`, { reason: 'profile', errorCode: 40601 });
    }
    return plain(userId, i, null);
  });
}
