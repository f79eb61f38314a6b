import { DigitWatch, isMangled } from '../../../../src/tasks/rows/spreadsheet-damage.ts';

test.each(['1.23E+11', '1,23E+11', '1.23457e+11', '1E+15', '123456789.0', '123456789,00'])(
  '%s shows damage',
  (userId) => {
    expect(isMangled(userId)).toBe(true);
  },
);

test.each(['123456789012', '00123', '1e5', 'a1.0', '1.2.0', '3E8', 'E+11', '1.5', '', undefined, 7])(
  '%s shows no damage',
  (userId) => {
    expect(isMangled(userId)).toBe(false);
  },
);

function warnings(userIds: Iterable<string>): string[] {
  const watch = new DigitWatch();
  for (const userId of userIds) watch.saw(userId);
  return watch.warnings();
}

const count = (n: number, make: (i: number) => string): string[] =>
  Array.from({ length: n }, (_, i) => make(i));

test('warns when all long numbers end in zeros past the 15th digit', () => {
  expect(warnings(count(30, (i) => `1234567890${String(i).padStart(5, '0')}000`))).toEqual([
    expect.stringContaining('All 30 numbers of more than 15 digits end in zeros'),
  ]);
  expect(
    warnings([...count(30, (i) => `1234567890${String(i).padStart(5, '0')}000`), '123456789012345678']),
  ).toEqual([]);
  // A few may be chance.
  expect(warnings(count(5, (i) => `12345678901234${i}000`))).toEqual([]);
});

test('warns when only some numbers have kept their leading zeros', () => {
  expect(warnings(['00123', '00456', '12345', '789', '23'])).toEqual([
    expect.stringContaining('2 numbers have fewer than 5 digits'),
  ]);
});

test('gives no warning for numbers that count up, nor for numbers of one length', () => {
  expect(warnings(count(2_000, (i) => String(i + 1)))).toEqual([]);
  expect(warnings(count(200, (i) => String(i).padStart(6, '0')))).toEqual([]);
  expect(warnings(count(200, (i) => `u${i}`))).toEqual([]);
});
