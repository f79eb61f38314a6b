import fc from 'fast-check';
import { readOccurredAtMs } from '../../../src/event/validate.ts';

it.each([
  ['0', 0],
  ['1743700123000', 1_743_700_123_000],
  ['2025-04-03T17:08:43Z', Date.UTC(2025, 3, 3, 17, 8, 43)],
  ['2025-04-03t17:08:43.5z', Date.UTC(2025, 3, 3, 17, 8, 43, 500)],
  ['2025-04-03 17:08:43.123456+08:00', Date.UTC(2025, 3, 3, 9, 8, 43, 123)],
  ['2025-04-03T00:00:00-00:30', Date.UTC(2025, 3, 3, 0, 30)],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
])('%s is %i ms', (text, ms) => {
  expect(readOccurredAtMs(text)).toBe(ms);
});

it.each([
  '',
  'now',
  '-1',
  '1.5',
  '1e3',
  '99999999999999999',
  '9999999999999999',
  '2025-04-03',
  '2025-04-03T17:08:43',
  '2025-02-29T00:00:00Z',
  '2025-13-01T00:00:00Z',
  '2025-00-10T00:00:00Z',
  '2025-01-00T00:00:00Z',
  '2025-01-01T24:00:00Z',
  '2025-01-01T00:60:00Z',
  '2025-01-01T00:00:61Z',
  '2025-01-01T00:00:00+24:00',
  '1969-12-31T23:59:59Z',
])('%p is no instant', (text) => {
  expect(readOccurredAtMs(text)).toBeUndefined();
});

it('reads the text that a Date writes', () => {
  const date = fc.date({ min: new Date(0), max: new Date(Date.UTC(9999, 11, 31)), noInvalidDate: true });
  fc.assert(fc.property(date, (at) => expect(readOccurredAtMs(at.toISOString())).toBe(at.getTime())));
});
