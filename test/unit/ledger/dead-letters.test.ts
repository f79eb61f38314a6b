import {
  deathSpan,
  indexOf,
  isMeant,
  type LetterFilter,
  type StoredLetter,
} from '../../../src/ledger/letters/dead-letters.ts';

const letter: StoredLetter = {
  eventId: '1000-0',
  userId: 'ann',
  reason: 'rejected',
  errorCode: 70402,
  errorInfo: 'no',
  httpStatus: 200,
  command: 'multiaccount_import',
  event: { userId: 'ann' },
  attempts: [],
  firstSeenAt: 1_000,
  notBefore: null,
  state: 'dead',
  deadSince: 5_000,
  firstDeadAt: 5_000,
  redrives: [],
};

describe('indexOf', () => {
  it.each<[LetterFilter, ReturnType<typeof indexOf>]>([
    [{ state: 'dead' }, 'time'],
    [
      { state: 'dead', userId: 'ann', errorCode: 1 },
      { by: 'user', prefixes: ['ann'] },
    ],
    [
      { state: 'dead', userId: 'no such ID' },
      { by: 'user', prefixes: [''] },
    ],
    [
      { state: 'dead', errorCode: 0 },
      { by: 'reason', prefixes: ['invalid 0', 'rejected 0', 'profile 0', 'expired 0', 'unknown 0'] },
    ],
    [
      { state: 'dead', reason: 'expired' },
      { by: 'reason', prefixes: ['expired'] },
    ],
    [
      { state: 'dead', reason: 'expired', errorCode: 60008 },
      { by: 'reason', prefixes: ['expired 60008'] },
    ],
  ])('%j', (filter, index) => {
    expect(indexOf(filter, 'dead')).toEqual(index);
  });

  it('letters that are not dead are ordered by time alone', () => {
    expect(indexOf({ state: 'all', userId: 'ann' }, 'resolved')).toBe('time');
  });
});

describe('isMeant', () => {
  it.each<[LetterFilter, boolean]>([
    [{ state: 'dead' }, true],
    [{ state: 'all' }, true],
    [{ state: 'resolved' }, false],
    [{ state: 'dead', errorCode: 70402, reason: 'rejected', userId: 'ann' }, true],
    [{ state: 'dead', errorCode: 7040 }, false],
    [{ state: 'dead', reason: 'profile' }, false],
    [{ state: 'dead', userId: 'Ann' }, false],
    [{ state: 'dead', olderThanMs: 1_000 }, true],
    [{ state: 'dead', olderThanMs: 1_001 }, false],
    [{ state: 'dead', newerThanMs: 1_001 }, true],
    [{ state: 'dead', newerThanMs: 1_000 }, false],
    [{ state: 'dead', olderThanMs: 500, newerThanMs: 2_000 }, true],
  ])('%j: %p', (filter, meant) => {
    expect(isMeant(letter, filter, deathSpan(filter, 6_000))).toBe(meant);
  });

  it('what died after the listing began is not of it', () => {
    expect(isMeant(letter, { state: 'dead' }, deathSpan({ state: 'dead' }, 4_999))).toBe(false);
  });
});
