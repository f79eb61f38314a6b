import { maskLetter, maskText } from '../../../src/console/mask.ts';
import type { StoredLetter } from '../../../src/ledger/letters/dead-letters.ts';

const letter: StoredLetter = {
  eventId: '1-1',
  userId: 'alice77',
  reason: 'profile',
  errorCode: 40005,
  errorInfo: 'alice77: the nick Alice 小明 of user alice77 is refused',
  httpStatus: 200,
  command: 'account_import',
  event: {
    userId: 'alice77',
    nick: 'Alice 小明',
    type: '0',
    occurredAt: '2025',
    aliceField: 'x',
    replyTo: 'reply-alice',
  },
  attempts: [],
  firstSeenAt: 1,
  notBefore: null,
  state: 'dead',
  deadSince: 1,
  firstDeadAt: 1,
  redrives: [],
};

test('a masked letter names neither the user nor a field of the profile', () => {
  const masked = maskLetter(letter);
  expect(JSON.stringify(masked)).not.toMatch(/alice|小明/i);
  expect(masked).toMatchObject({
    userId: '***',
    errorInfo: '***: the nick *** of user *** is refused',
    event: { userId: '***', nick: '***', type: '0', occurredAt: '2025' },
    errorCode: 40005,
  });
});

test('a field that a producer mixed up is masked as well', () => {
  const event = { userId: '1', type: 'alice77', occurredAt: 'Alice', traceparent: 'alice@example.com' };
  expect(maskLetter({ ...letter, event }).event).toEqual({
    userId: '***',
    type: '***',
    occurredAt: '***',
    traceparent: '***',
  });
});

test.each([
  ['a short ID only as a whole word', 'a user in it, a fool', ['a'], '*** user in it, *** fool'],
  ['Chinese has no blanks', '昵称小明含敏感词', ['小明'], '昵称***含敏感词'],
  ['a value that the text cuts off', 'the nick Alice Wonder', ['Alice Wonderland'], 'the nick ***'],
  ['a value as its text was tidied', 'nick A B is', ['A  B'], 'nick *** is'],
  ['what is quoted', 'the userId "has \\"blank" is not valid', [], 'the userId "***" is not valid'],
  ['a quote that does not end', 'the userId "has bl', [], 'the userId "***"'],
  ['nothing to hide', 'the service timed out', ['alice77'], 'the service timed out'],
])('in texts: %s', (_what, text, values, expected) => {
  expect(maskText(text, values)).toBe(expected);
});
