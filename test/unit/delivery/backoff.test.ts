import fc from 'fast-check';
import { backoffMs, LANDING_MS, retryAtMs } from '../../../src/delivery/policy/backoff.ts';
import type { Whose } from '../../../src/delivery/policy/decision.ts';
import type { VerdictClass } from '../../../src/im/verdict-rows.ts';
import { entryOf, pendingUserOf } from './entries.ts';

const limits = { baseMs: 1_000, maxMs: 60_000 };
const suspicion = { since: 0, errorCode: 1, httpStatus: 200, errorInfo: '', hasAccount: false };

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
  const failure = {
    users: [],
    whose: 'unknown',
    tries: 0,
    random: 0.5,
    nowMs: 10_000,
    sentAtMs: 9_900,
  } as const;
  const dueMs = (outcomeKnown: boolean, delayMs: number): number =>
    retryAtMs({
      ...failure,
      verdict: { class: 'retry', outcomeKnown },
      limits: { baseMs: 2 * delayMs, maxMs: 2 * delayMs },
    });
  expect(dueMs(true, 5)).toBe(10_005);
  expect(dueMs(false, 5)).toBe(9_900 + LANDING_MS);
  expect(dueMs(false, 60_000)).toBe(70_000);
  // The service's own time-out is 3 s.
  expect(LANDING_MS).toBeGreaterThan(3_000);
});

it('a suspect whose fault does not pass is called again soon, while that brings the end nearer', () => {
  const delayMs = (failures: number, whose: Whose, verdictClass: VerdictClass = 'app'): number =>
    retryAtMs({
      users: [{ ...pendingUserOf(entryOf('a', 1)), suspicion: { ...suspicion, failures } }],
      whose,
      verdict: { class: verdictClass, outcomeKnown: true },
      ...{ tries: 9, limits, random: 0.5, sentAtMs: 0, nowMs: 0 },
    });
  expect(delayMs(1, 'theirs')).toBe(1_000);
  expect(delayMs(9, 'theirs')).toBe(2_500);
  // With nobody to compare with, the failures of the record count.
  expect(delayMs(1, 'lone')).toBe(2_500);
  // Nobody passes, so that this failure does not count.
  expect(delayMs(1, 'unknown')).toBe(30_000);
  expect(delayMs(1, 'theirs', 'retry')).toBe(30_000);
});
