import { createRate, duration, grouped, textOf } from '../../../src/cli/import/rows-progress.ts';

test('the rate is that of the last half minute, from the first time it is asked for', () => {
  const rate = createRate();
  expect(rate(1_000, 0)).toBe(0);
  expect(rate(3_000, 2_000)).toBe(1_000);
  for (let s = 3; s <= 60; s++) rate(3_000 + 100 * (s - 2), s * 1_000);
  expect(rate(3_000 + 100 * 59, 61_000)).toBeCloseTo(100);
});

test('a line of progress', () => {
  const state = { rows: 250_000, estimatedRows: 1_000_000, words: '249,000 added' };
  expect(textOf(state, 9_800)).toBe('25 % of about 1,000,000 rows, 9,800/s, 1 min 17 s left, 249,000 added');
  expect(textOf({ ...state, estimatedRows: undefined }, 9_800)).toBe('250,000 rows, 9,800/s, 249,000 added');
  expect(textOf(state, 0)).toBe('25 % of about 1,000,000 rows, 0/s, 249,000 added');
});

test('numbers and spans as people read them', () => {
  expect([0, 999, 1_000, 1_234_567].map(grouped)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([0, 59.4, 200, 7_500].map(duration)).toEqual(['0 s', '59 s', '3 min 20 s', '2 h 5 min']);
});
