import { invalidLetter, refusedLetter } from '../../../src/delivery/policy/letter.ts';
import { entryOf, pendingUserOf, rawOf, verdictFor } from './entries.ts';

const attempt = (at: number) => ({
  at,
  command: 'multiaccount_import' as const,
  errorCode: 70500,
  httpStatus: 200,
});

it('an entry that does not hold up keeps its own fields and everything that is wrong with it', () => {
  const raw = { eventId: '1700000000000-3', fields: ['userId', 'a b', 'nick', 'n', 'colour', 'green'] };
  const entry = { ok: false as const, eventId: raw.eventId, userId: 'a b', problems: ['one', 'two'] };
  expect(invalidLetter(raw, entry)).toEqual({
    eventId: '1700000000000-3',
    userId: 'a b',
    reason: 'invalid',
    errorCode: 0,
    errorInfo: 'one; two',
    httpStatus: 0,
    command: '',
    event: { userId: 'a b', nick: 'n', colour: 'green' },
    attempts: [],
    firstSeenAt: 1_700_000_000_000,
    notBefore: null,
  });
});

it('a refused event tells the answer, all attempts, and when trying again can succeed', () => {
  const entry = entryOf('a', 1_700_000_000_000, { nick: 'n' });
  const user = { ...pendingUserOf(entry), attempts: [attempt(2)] };
  const refused = { user, entry, reason: 'rejected' as const, verdict: verdictFor(70399, 'deleted') };
  const letter = refusedLetter(rawOf(entry), refused, 'account_import', [attempt(1)]);
  expect(letter).toMatchObject({
    userId: 'a',
    reason: 'rejected',
    errorCode: 70399,
    errorInfo: 'deleted',
    httpStatus: 200,
    command: 'account_import',
    attempts: [attempt(1), attempt(2)],
    firstSeenAt: 1_700_000_000_000,
  });
  // 2023-11-14 → 2024-02-14: calendar months after it was first seen.
  expect(letter.notBefore).toBe(Date.parse('2024-02-14T22:13:20Z'));

  const wordless = { ...refused, verdict: verdictFor(70402) };
  expect(refusedLetter(rawOf(entry), wordless, 'account_import', [])).toMatchObject({
    errorInfo: 'a parameter is invalid',
    notBefore: null,
  });
});

it('never holds a password, however it is written', () => {
  const entry = entryOf('a', 1);
  const refused = {
    user: pendingUserOf(entry),
    entry,
    reason: 'rejected' as const,
    verdict: verdictFor(70402),
  };
  for (const name of ['password', 'Password', 'PASSWORD']) {
    const raw = { eventId: '1-0', fields: ['userId', 'a', name, 'pass-word', name, 'pass-word-2'] };
    expect(JSON.stringify(refusedLetter(raw, refused, 'account_import', []))).not.toContain('pass-word');
    const invalid = { ok: false as const, eventId: '1-0', userId: 'a', problems: ['x'] };
    expect(JSON.stringify(invalidLetter(raw, invalid))).not.toContain('pass-word');
    // A redrive has to ask for it.
    expect(invalidLetter(raw, invalid).withheld).toEqual([name]);
  }
});

it('is bounded, whatever the entry holds', () => {
  const many = Array.from({ length: 500 }, (_, i) => [`f${i}`, 'v'.repeat(5_000)]).flat();
  const raw = { eventId: '1-0', fields: ['userId', 'a', 'nick', 'n'.repeat(1_000_000), ...many] };
  const problems = Array.from({ length: 1_000 }, (_, i) => `problem ${i}`);
  const letter = invalidLetter(raw, { ok: false, eventId: '1-0', userId: 'a', problems });
  expect(JSON.stringify(letter).length).toBeLessThan(700_000);
  expect(letter.event.userId).toBe('a');
  expect(letter.event.nick?.length).toBeLessThan(100_000);
  expect(letter.errorInfo.length).toBeLessThanOrEqual(1_000);
});
