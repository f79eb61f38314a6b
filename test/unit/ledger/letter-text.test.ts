import type { Letter } from '../../../src/ledger/letters/dead-letters.ts';
import { packLetter, textOf, unpackLetter } from '../../../src/ledger/letters/letter-text.ts';

const AT = 1_743_700_123_000;
const letter: Letter = {
  eventId: `${AT}-7`,
  userId: 'ann',
  reason: 'rejected',
  errorCode: 70402,
  errorInfo: 'the nick is refused',
  httpStatus: 200,
  command: 'account_import',
  event: { userId: 'ann', nick: '安', faceUrl: 'https://cdn.example.com/a.png' },
  hasAccount: true,
  attempts: [
    { at: AT + 40, command: 'multiaccount_import', errorCode: 0, httpStatus: 200 },
    { at: AT + 90, command: 'account_import', errorCode: 70402, httpStatus: 200, traceparent: '00-1-2-01' },
  ],
  firstSeenAt: AT,
  notBefore: null,
};
const hashOf = (one: Letter, userId: string) => ({
  ...{ userId, reason: one.reason, code: String(one.errorCode) },
  ...(one.notBefore !== null && { notBefore: String(one.notBefore) }),
});
const readBack = (one: Letter, userId: string): Letter =>
  unpackLetter(one.eventId, packLetter(one, userId), hashOf(one, userId));

test.each<[string, Letter, string]>([
  ['of a refused event', letter, 'ann'],
  ['with a date', { ...letter, notBefore: AT + 1_000 }, 'ann'],
  [
    'of an invalid user ID',
    {
      ...letter,
      userId: 'an n',
      event: { userId: 'an n' },
      reason: 'invalid',
      partial: true,
      withheld: ['password'],
    },
    '',
  ],
  [
    'without an attempt, a user or an answer',
    { ...letter, userId: '', event: { nick: 'x' }, attempts: [], httpStatus: 0, command: '', errorInfo: '' },
    '',
  ],
  [
    'whose last answer is not that of its last attempt',
    { ...letter, httpStatus: 500, command: 'account_check' },
    'ann',
  ],
])('a letter %s reads as it was written', (_what, one, userId) => {
  expect(readBack(one, userId)).toEqual(one);
});

test('a letter that version 0.2.0 wrote reads as it was written, with the attempts before its last death', () => {
  const earlier = [{ at: 1, command: 'account_import', errorCode: 5, httpStatus: 200 }] as const;
  const fields = { ...hashOf(letter, 'ann'), earlier: JSON.stringify([...earlier, [2, 1, 6, 200]]) };
  expect(unpackLetter(letter.eventId, JSON.stringify(letter), fields)).toEqual({
    ...letter,
    attempts: [
      ...earlier,
      { at: AT + 2, command: 'account_import', errorCode: 6, httpStatus: 200 },
      ...letter.attempts,
    ],
  });
});

test('the text stands whole or in pieces', () => {
  expect(textOf({ letter: '{}', state: 'dead' })).toBe('{}');
  expect(textOf({ 1: '{"a', 2: '":1}', state: 'dead' })).toBe('{"a":1}');
  expect(textOf({ state: 'dead' })).toBeUndefined();
});
