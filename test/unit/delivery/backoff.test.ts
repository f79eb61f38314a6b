import fc from 'fast-check';
import { backoffMs, dueAtMs, LANDING_MS, retryDelayMs } from '../../../src/delivery/policy/backoff.ts';

const limits = { baseMs: 1_000, maxMs: 60_000 };

it('doubles from the base to the greatest, with full jitter', () => {
  expect([0, 1, 2, 5, 6, 7, 1_000_000].map((tries) => backoffMs(tries, limits, 0.5))).toEqual([
    500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000,
  ]);
  expect(backoffMs(3, limits, 0)).toBe(0);
});

it('lies between nothing and the greatest delay', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 3_600_000 }),
      fc.integer({ min: 1, max: 86_400_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (tries, baseMs, maxMs, random) => {
        const delay = backoffMs(tries, { baseMs, maxMs }, random);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(maxMs);
        expect(delay).toBeLessThanOrEqual(baseMs * 2 ** Math.min(tries, 30));
      },
    ),
  );
});

it('leaves a call without an answer alone until it can no longer land', () => {
  const failure = { nowMs: 10_000, sentAtMs: 9_900, delayMs: 5 };
  expect(dueAtMs({ ...failure, outcomeKnown: true })).toBe(10_005);
  expect(dueAtMs({ ...failure, outcomeKnown: false })).toBe(9_900 + LANDING_MS);
  expect(dueAtMs({ ...failure, outcomeKnown: false, delayMs: 60_000 })).toBe(70_000);
  // The service's own time-out is 3 s.
  expect(LANDING_MS).toBeGreaterThan(3_000);
});

it('a suspect whose fault does not pass is called again soon, while that brings the end nearer', () => {
  const failure = {
    tries: 9,
    verdictClass: 'app',
    limits: { baseMs: 1_000, maxMs: 60_000 },
    random: 0.5,
  } as const;
  expect(retryDelayMs({ ...failure, suspectFailures: 1 })).toBe(1_000);
  expect(retryDelayMs({ ...failure, suspectFailures: 9 })).toBe(2_500);
  // Nobody passes, so that this failure does not count.
  expect(retryDelayMs({ ...failure, suspectFailures: undefined })).toBe(30_000);
  expect(retryDelayMs({ ...failure, suspectFailures: 1, verdictClass: 'retry' })).toBe(30_000);
});
