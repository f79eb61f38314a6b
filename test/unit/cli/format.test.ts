import { counted, countedLines, duration, grouped, isoTime, namedLines } from '../../../src/cli/format.ts';

test('numbers, times and durations are easy to read', () => {
  expect([0, 999, 1_000, 1_234_567].map(grouped)).toEqual(['0', '999', '1,000', '1,234,567']);
  expect([0, 59.4, 200, 7_500].map(duration)).toEqual(['0 s', '59 s', '3 min 20 s', '2 h 5 min']);
  expect([0, 1, 2].map((count) => counted(count, 'letter'))).toEqual(['0 letters', '1 letter', '2 letters']);
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
});

test('named values stand in one column, and a row without a value is left out', () => {
  expect(
    namedLines([
      ['user', 'ann'],
      ['call', ''],
      ['dead letter', '1-0'],
    ]),
  ).toBe('user        ann\ndead letter 1-0\n');
});

test('counts are aligned on the right, with their notes behind them', () => {
  expect(
    countedLines([
      ['rows', 1_200, ''],
      ['rejected', 7, 'in x.csv'],
    ]),
  ).toEqual(['rows           1,200', 'rejected           7  in x.csv']);
});
