import fc from 'fast-check';
import { compareEventIds, eventIdMs, newestFirst, type ValidEntry } from '../../../src/event/event.ts';

describe('compareEventIds', () => {
  it.each([
    ['1-0', '1-0', 0],
    ['1-0', '1-1', -1],
    ['9-0', '10-0', -1],
    ['10-9', '10-10', -1],
    ['5', '5-0', 0],
    ['05-1', '5-1', 0],
    ['18446744073709551614-18446744073709551615', '18446744073709551615-0', -1],
    ['1-18446744073709551614', '1-18446744073709551615', -1],
    ['9007199254740992-0', '9007199254740993-0', -1],
  ])('%s against %s', (a, b, sign) => {
    expect(Math.sign(compareEventIds(a, b))).toBe(sign);
    expect(Math.sign(compareEventIds(b, a))).toBe(sign === 0 ? 0 : -sign);
  });

  it('agrees with 64-bit arithmetic', () => {
    const part = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, d) => {
        const expected = a !== c ? (a < c ? -1 : 1) : b === d ? 0 : b < d ? -1 : 1;
        expect(Math.sign(compareEventIds(`${a}-${b}`, `${c}-${d}`))).toBe(expected);
      }),
    );
  });
});

it.each([
  ['1743700123000-5', 1_743_700_123_000],
  ['7', 7],
  ['junk', 0],
  ['', 0],
])('eventIdMs(%p) is %i', (id, ms) => {
  expect(eventIdMs(id)).toBe(ms);
});

it('newestFirst sorts each user by event ID and keeps the users in their first order', () => {
  const entry = (eventId: string, userId: string): ValidEntry => ({
    ok: true,
    eventId,
    event: { userId, type: 0 },
    tooLong: [],
  });
  const byUser = newestFirst([entry('9-0', 'b'), entry('10-2', 'a'), entry('10-10', 'a'), entry('9-9', 'a')]);
  expect([...byUser].map(([user, own]) => [user, own.map(({ eventId }) => eventId)])).toEqual([
    ['b', ['9-0']],
    ['a', ['10-10', '10-2', '9-9']],
  ]);
});
