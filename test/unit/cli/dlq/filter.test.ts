import { isNarrowed, readAge } from '../../../../src/cli/dlq/filter.ts';

it.each([
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  ['4w', 2_419_200_000],
])('%s is %i ms', (text, ms) => {
  expect(readAge(text)).toBe(ms);
});

it.each(['', '2', 'h', '-2h', '2 h', '2H', '2y', '1e3s'])('%j is not an age', (text) => {
  expect(() => readAge(text)).toThrow('number with a unit');
});

it.each([
  [{}, false],
  [{ limit: 5 }, false],
  [{ state: 'dead' }, false],
  [{ state: 'all' }, false],
  [{ state: 'resolved' }, true],
  [{ code: 0 }, true],
  [{ user: 'ann' }, true],
  [{ olderThan: 1 }, true],
] as const)('%j selects some of the letters: %p', (flags, narrowed) => {
  expect(isNarrowed(flags)).toBe(narrowed);
});
