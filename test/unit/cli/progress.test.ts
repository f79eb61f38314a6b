import { createRate, rowsText } from '../../../src/cli/progress.ts';

test('the rate covers the last half minute and starts with the first call', () => {
  const rate = createRate();
  expect(rate(1_000, 0)).toBe(0);
  expect(rate(3_000, 2_000)).toBe(1_000);
  for (let s = 3; s <= 60; s++) rate(3_000 + 100 * (s - 2), s * 1_000);
  expect(rate(3_000 + 100 * 59, 61_000)).toBeCloseTo(100);
});

test('a progress line shows the share, the rate, the time left and what happened', () => {
  const state = { rows: 250_000, estimatedRows: 1_000_000, words: '249,000 added' };
  expect(rowsText(state, 9_800)).toBe(
    '25 % of about 1,000,000 rows, 9,800/s, 1 min 17 s left, 249,000 added',
  );
  expect(rowsText({ ...state, estimatedRows: undefined }, 9_800)).toBe(
    '250,000 rows, 9,800/s, 249,000 added',
  );
  expect(rowsText(state, 0)).toBe('25 % of about 1,000,000 rows, 0/s, 249,000 added');
});
