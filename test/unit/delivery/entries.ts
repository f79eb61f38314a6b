import fc from 'fast-check';
import { type Commands, type Group, type Unit, unitsOf } from '../../../src/delivery/unit.ts';
import type { ProfileField, RawEntry, UserCreated, ValidEntry } from '../../../src/event/event.ts';
import { type Verdict, verdictOf, verdictRows } from '../../../src/im/verdicts.ts';

export const commands: Commands = {
  form: 'current',
  batch: 'multiaccount_import',
  single: 'account_import',
};

/** The users of a call, and those who wait for what it tells. */
export function everybodyOf({ units, search }: Group): readonly Unit[] {
  return search === undefined ? units : [...units, ...search.probe.others, ...search.probe.untested];
}

/** A valid entry; `n` orders the events of a test. */
export function entryOf(
  userId: string,
  n: number,
  event: Partial<UserCreated> = { nick: `nick ${n}` },
  tooLong: readonly ProfileField[] = [],
): ValidEntry {
  return { ok: true, eventId: `${n}-0`, event: { userId, type: 0, extra: {}, ...event }, tooLong };
}

export function rawOf({ eventId, event }: ValidEntry): RawEntry {
  const { userId, nick, replyTo } = event;
  const fields = Object.entries({ userId, nick, replyTo }).filter(([, value]) => value !== undefined);
  return { eventId, fields: fields.flat() as string[] };
}

/** The unit of one user. */
export function unitOf(...entries: readonly ValidEntry[]): Unit {
  const [unit] = unitsOf(entries);
  if (unit === undefined) throw new Error('a unit needs an entry');
  return unit;
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

const codes = [...verdictRows()]
  .filter(({ command, row }) => command === 'multiaccount_import' && !['app', 'throttle'].includes(row.class))
  .flatMap(({ row }) => row.codes);

/** Every verdict that says something about users: all codes of the table, one that nobody knows, lost answers. */
export const verdicts: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constant(verdictFor(0)),
  fc.constantFrom(...codes, 79_999).map((code) => verdictFor(code)),
  fc
    .record({ fault: fc.constantFrom('timeout', 'reset', 'connect', 'garbage'), sent: fc.boolean() })
    .map(({ fault, sent }) =>
      verdictOf('multiaccount_import', { kind: 'fault', fault, sent, errorInfo: '' } as never),
    ),
  fc
    .constantFrom(500, 502, 408)
    .map((httpStatus) => verdictOf('multiaccount_import', { kind: 'http', httpStatus, errorInfo: '' })),
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
export const groups: fc.Arbitrary<Group> = fc
  .record({
    entries: entryLists,
    marks: fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 8, maxLength: 8 }),
    first: fc.boolean(),
    alone: fc.boolean(),
  })
  .map(({ entries, marks, first, alone }) => {
    const units = unitsOf(entries).map((unit, i): Unit => {
      const [failed = false, bare = false] = marks[i] ?? [];
      // Bare is who has no other event left.
      return { ...unit, failed, bare: bare && unit.candidates.length === 1 ? verdictFor(40005) : null };
    });
    return alone
      ? { command: 'account_import', first, units: units.slice(0, 1) }
      : { command: 'multiaccount_import', first, units };
  });
