import { estimateWaiting, type OutboxRow } from '../../../src/relay/outbox.ts';

const rows = (...ids: readonly (number | bigint)[]): OutboxRow[] =>
  ids.map((id) => ({
    ...{ id: String(id), userId: 'u', nick: null, faceUrl: null, type: null, traceparent: null },
    createdAtMs: 0,
  }));
const span = (from: number, count: number, step = 1): number[] =>
  Array.from({ length: count }, (_, i) => from + i * step);

test('rows that wait are estimated by their numbers, gaps and late rows allowed for', () => {
  expect(estimateWaiting(rows(...span(1, 2_000)), '5000000')).toBe(5_000_000);
  // Two of three numbers were rolled back, or belong to other nodes.
  expect(estimateWaiting(rows(...span(1, 2_000, 3)), '3000000')).toBeCloseTo(1_000_000, -4);
  // A transaction of long ago has committed now.
  expect(estimateWaiting(rows(5, ...span(1_000_000, 1_999)), '1100000')).toBeCloseTo(100_000, -3);
  expect(estimateWaiting(rows(2n ** 62n, 2n ** 62n + 1n), String(2n ** 62n + 9n))).toBe(10);
});

test('the rows of the look are all that is known of an empty or shorter table', () => {
  expect(estimateWaiting([], null)).toBe(0);
  expect(estimateWaiting(rows(7, 8), null)).toBe(2);
  expect(estimateWaiting(rows(7, 8), '8')).toBe(2);
  expect(estimateWaiting(rows(7, 8), '3')).toBe(2);
});
