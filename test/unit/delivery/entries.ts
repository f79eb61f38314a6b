import fc from 'fast-check';
import {
  type ApiRequest,
  type Commands,
  type PendingUser,
  pendingByUser,
} from '../../../src/delivery/policy/pending-user.ts';
import type { ProfileField, RawEntry, UserCreated, ValidEntry } from '../../../src/event/event.ts';
import { VERDICT_TABLES } from '../../../src/im/verdict-rows.ts';
import { type Verdict, verdictOf } from '../../../src/im/verdicts.ts';

export const commands: Commands = {
  form: 'current',
  batch: 'multiaccount_import',
  single: 'account_import',
};

/** Users in the order of their first appearance. */
export function pendingUsersOf(entries: Iterable<ValidEntry>): PendingUser[] {
  return [...pendingByUser(entries).values()];
}

/** A valid entry; `n` orders the events of a test. */
export function entryOf(
  userId: string,
  n: number,
  event: Partial<UserCreated> = { nick: `nick ${n}` },
  tooLong: readonly ProfileField[] = [],
): ValidEntry {
  return { ok: true, eventId: `${n}-0`, event: { userId, type: 0, ...event }, tooLong };
}

export function rawOf({ eventId, event }: ValidEntry): RawEntry {
  const { userId, nick, replyTo } = event;
  const fields = Object.entries({ userId, nick, replyTo }).filter(([, value]) => value !== undefined);
  return { eventId, fields: fields.flat() as string[] };
}

/** The user of one user. */
export function pendingUserOf(...entries: readonly ValidEntry[]): PendingUser {
  const [user] = pendingUsersOf(entries);
  if (user === undefined) throw new Error('a user needs an entry');
  return user;
}

/** What the table makes of an error code. */
export function verdictFor(errorCode: number, errorInfo = ''): Verdict {
  return verdictOf('multiaccount_import', {
    kind: 'api',
    httpStatus: 200,
    errorCode,
    errorInfo,
    failAccounts: [],
    body: {},
  });
}

/** What an HTTP status of something on the way means. */
export function httpVerdict(httpStatus: number): Verdict {
  return verdictOf('multiaccount_import', { kind: 'http', httpStatus, errorInfo: `HTTP ${httpStatus}` });
}

const codes = VERDICT_TABLES.multiaccount_import.flatMap((row) => row.codes);

/** Every verdict: all codes of the table, one that nobody knows, lost answers, other HTTP statuses. */
export const verdicts: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constant(verdictFor(0)),
  fc.constantFrom(...codes, 79_999).map((code) => verdictFor(code)),
  fc
    .record({ fault: fc.constantFrom('timeout', 'reset', 'connect', 'garbage'), sent: fc.boolean() })
    .map(({ fault, sent }) =>
      verdictOf('multiaccount_import', { kind: 'fault', fault, sent, errorInfo: '' } as never),
    ),
  fc.constantFrom(500, 502, 408, 403, 404, 413, 429).map(httpVerdict),
);

/** Entries of up to eight users who share them, in some order of arrival. */
export const entryLists: fc.Arbitrary<ValidEntry[]> = fc
  .array(
    fc.record({
      user: fc.nat(7),
      profile: fc.constantFrom<Partial<UserCreated>>(
        {},
        { nick: 'n' },
        { faceUrl: 'f' },
        { nick: 'n', faceUrl: 'f' },
      ),
      type: fc.constantFrom<0 | 1>(0, 0, 0, 1),
      tooLong: fc.constantFrom<readonly ProfileField[]>([], [], ['nick']),
      replyTo: fc.boolean(),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((list) =>
    list.map(({ user, profile, type, tooLong, replyTo }, n) =>
      entryOf(`u${user}`, n, { ...profile, type, ...(replyTo && { replyTo: 'channel' }) }, tooLong),
    ),
  );

/** Groups as they may stand in the middle of a run: some came back in FailAccounts, some go without profile. */
export const requests: fc.Arbitrary<ApiRequest> = fc
  .record({
    entries: entryLists,
    marks: fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 8, maxLength: 8 }),
    first: fc.boolean(),
    failures: fc.nat(3),
    shape: fc.constantFrom('alone', 'together', 'canary'),
    suspect: fc.option(fc.nat(12), { nil: null }),
    hasAccount: fc.boolean(),
  })
  .map(({ entries, marks, first, failures, shape, suspect, hasAccount }): ApiRequest => {
    const users = pendingUsersOf(entries).map((user, i): PendingUser => {
      const [inFailAccounts = false, bare = false] = marks[i] ?? [];
      // Bare is who has no other event left.
      return { ...user, inFailAccounts, bare: bare && user.events.length === 1 ? verdictFor(40005) : null };
    });
    const history = { first, failures, unluckyFailures: 0, failedAtMs: failures };
    const single = { command: 'account_import', ...history } as const;
    const [one, ...others] = users;
    if (one === undefined || shape === 'together' || (others.length === 0 && shape === 'canary'))
      return { command: 'multiaccount_import', users, ...history };
    if (shape === 'canary')
      return { ...single, users: [one], behind: { command: 'multiaccount_import', users: others } };
    const suspicion =
      suspect === null
        ? null
        : { since: 1, failures: suspect, errorCode: 0, httpStatus: 403, errorInfo: '', hasAccount };
    return { ...single, users: [{ ...one, suspicion, exists: suspicion?.hasAccount ?? false }] };
  });
