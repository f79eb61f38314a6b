import fc from 'fast-check';
import { bucketOf, percentile } from '../../../src/ops/history/latency.ts';
import { historyOf, type Point } from '../../../src/ops/history/read-history.ts';

describe('latency', () => {
  test('a bucket holds what it says', () => {
    fc.assert(
      fc.property(fc.double({ min: 1.01, max: 1e8, noNaN: true }), (ms) => {
        const bucket = bucketOf(ms);
        expect(ms).toBeLessThanOrEqual(2 ** (bucket / 2) * 1.000001);
        expect(ms).toBeGreaterThan(2 ** ((bucket - 1) / 2) * 0.999999);
      }),
    );
    expect([bucketOf(0), bucketOf(-5), bucketOf(Number.NaN), bucketOf(1e12)]).toEqual([0, 0, 0, 55]);
  });

  test('a percentile is within a bucket of the true one', () => {
    const values = Array.from({ length: 1_000 }, (_, i) => i + 1);
    const counts = new Map<number, number>();
    for (const value of values) counts.set(bucketOf(value), (counts.get(bucketOf(value)) ?? 0) + 1);
    for (const share of [0.5, 0.9, 0.99]) {
      const found = percentile(counts, share) ?? 0;
      expect(Math.abs(found / (share * 1_000) - 1)).toBeLessThan(0.2);
    }
    expect(percentile(new Map(), 0.5)).toBeNull();
  });
});

describe('the columns of a history', () => {
  const nowMs = 1_700_000_005_000;
  const point = (secondsAgo: number, more: Record<string, number>): Point =>
    Object.fromEntries(
      Object.entries({ at: nowMs - 1_000 * secondsAgo, ...more }).map(([name, n]) => [name, String(n)]),
    );

  test('totals become rates, and what a point does not name is 0', () => {
    const history = historyOf(
      [
        point(23, { accepted: 100, imported: 50, superseded: 0, dead: 0, waiting: 5, 'reason:invalid': 2 }),
        point(13, {
          accepted: 200,
          imported: 150,
          superseded: 0,
          dead: 0,
          'n:calls': 20,
          'n:error:70003': 5,
          'n:ms:10': 4,
        }),
        point(3, { accepted: 200, imported: 100, superseded: 0, dead: 0, 'n:calls': 0 }),
      ],
      '15m',
      nowMs,
    );
    expect(history.at).toHaveLength(90);
    expect(history.perSecond.accepted.slice(-3)).toEqual([null, 10, 0]);
    // The total of imported fell: Redis was emptied.
    expect(history.perSecond.imported.slice(-3)).toEqual([null, 10, null]);
    expect(history.perSecond.calls.slice(-3)).toEqual([0, 2, 0]);
    expect(history.perSecond.refused.slice(-3)).toEqual([0, 0.5, 0]);
    expect(history.errorsPerSecond['70003']?.slice(-3)).toEqual([0, 0.5, 0]);
    expect(history.deadByReason.invalid?.slice(-3)).toEqual([2, 0, 0]);
    expect(history.gauges.waiting.slice(-4)).toEqual([null, 5, 0, 0]);
    expect(history.gauges.latencyP50Ms.slice(-3)).toEqual([null, expect.any(Number), null]);
  });

  test('a gap stays a gap, and what came after it is spread over it', () => {
    const history = historyOf(
      [point(303, { accepted: 0 }), point(3, { accepted: 3_000, 'n:calls': 30 })],
      '15m',
      nowMs,
    );
    expect(history.perSecond.accepted.filter((n) => n !== null)).toEqual([10]);
    expect(history.perSecond.calls.at(-1)).toBe(0.1);
  });

  test('points from before the span, and from a clock ahead, are left out', () => {
    const { gauges } = historyOf([point(5_000, { waiting: 1 }), point(-500, { waiting: 1 })], '15m', nowMs);
    expect(gauges.waiting.every((n) => n === null)).toBe(true);
  });
});
