import fc from 'fast-check';
import { ArrivalRate, nextLookMs, secondLookMs } from '../../../src/intake/linger.ts';

describe('arrival rate', () => {
  it('is learned from what waits, and smoothed', () => {
    const rate = new ArrivalRate();
    expect(rate.perMs).toBe(0);
    rate.saw(10, 0);
    expect(rate.perMs).toBe(0);
    rate.saw(30, 10);
    expect(rate.perMs).toBe(2);
    rate.saw(30, 20);
    expect(rate.perMs).toBe(1);
  });

  it('goes by time: a moment in which nothing came says little', () => {
    const rate = new ArrivalRate();
    rate.saw(0, 0);
    rate.saw(90, 10);
    for (let at = 11; at <= 13; at++) rate.saw(90, at);
    expect(rate.perMs).toBeGreaterThan(7);
    rate.saw(90, 60);
    expect(rate.perMs).toBeLessThan(0.5);
  });

  it('does not take a cut for arrivals that stopped', () => {
    const rate = new ArrivalRate();
    rate.saw(10, 0);
    rate.saw(30, 10);
    rate.cut(30, 12);
    rate.saw(0, 20);
    expect(rate.perMs).toBe(2);
    rate.saw(20, 30);
    expect(rate.perMs).toBe(2);
  });

  it('is learned from a cut that comes late, too, or it would go on coming late', () => {
    const rate = new ArrivalRate();
    rate.saw(0, 0);
    rate.saw(1, 10);
    expect(rate.perMs).toBe(0.1);
    for (let cuts = 1; cuts <= 3; cuts++) {
      rate.saw(10, 100 * cuts);
      rate.cut(260, 100 * cuts + 50);
      expect(rate.perMs).toBe(5);
    }
  });

  it('is not lowered by a cut that found less, after another process cut', () => {
    const rate = new ArrivalRate();
    rate.saw(0, 0);
    rate.saw(50, 10);
    rate.cut(20, 20);
    expect(rate.perMs).toBe(5);
    rate.cut(900, 30);
    expect(rate.perMs).toBe(5);
  });

  it('another process may cut meanwhile, and a look may come twice in a moment', () => {
    const rate = new ArrivalRate();
    rate.saw(100, 0);
    rate.saw(5, 10);
    expect(rate.perMs).toBe(0);
    rate.saw(5, 10);
    expect(rate.perMs).toBe(0);
  });
});

describe('next look', () => {
  /** Ten events came within 10 ms. */
  const state = { waiting: 10, dueInMs: 190, maxUsers: 100, maxWaitMs: 200, arrivalsPerMs: 0 };

  it('comes nearer to when the call is expected to be full by strides, and then goes by it', () => {
    // 90 to come at 3 a millisecond: 30 ms, of which 18 are gone before the next look.
    expect(nextLookMs({ ...state, arrivalsPerMs: 3 })).toBe(18);
    expect(nextLookMs({ ...state, waiting: 64, arrivalsPerMs: 9 })).toBe(3);
    expect(nextLookMs({ ...state, waiting: 82, arrivalsPerMs: 9 })).toBe(2);
    expect(nextLookMs({ ...state, arrivalsPerMs: 1_000 })).toBe(1);
  });

  it('takes the rate from the number and the age of what waits, if that is more', () => {
    // 30 in 10 ms: 70 more in 23.3.
    expect(nextLookMs({ ...state, waiting: 30 })).toBe(14);
    expect(nextLookMs({ ...state, waiting: 30, arrivalsPerMs: 0.1 })).toBe(14);
    // Events of one moment are taken for those of a millisecond.
    expect(nextLookMs({ ...state, waiting: 10, dueInMs: 200 })).toBe(6);
    expect(nextLookMs({ ...state, waiting: 10, dueInMs: 260 })).toBe(6);
  });

  it('is when the oldest has waited long enough', () => {
    expect(nextLookMs({ ...state, dueInMs: 10 })).toBe(10);
    expect(nextLookMs({ ...state, dueInMs: -50 })).toBe(1);
  });

  it('comes a few times within the wait while the call fills slowly', () => {
    expect(nextLookMs({ ...state, waiting: 1 })).toBe(50);
    expect(nextLookMs({ ...state, waiting: 0 })).toBe(50);
  });

  it('is a whole number of milliseconds, at least one, and never after the oldest is due', () => {
    fc.assert(
      fc.property(
        fc.record({
          waiting: fc.nat(1_000),
          dueInMs: fc.integer({ min: -2_000, max: 60_000 }),
          maxUsers: fc.integer({ min: 1, max: 100 }),
          maxWaitMs: fc.nat(60_000),
          arrivalsPerMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
        }),
        (any) => {
          const ms = nextLookMs(any);
          expect(Number.isInteger(ms)).toBe(true);
          expect(ms).toBeGreaterThanOrEqual(1);
          expect(ms).toBeLessThanOrEqual(Math.max(1, any.dueInMs));
        },
      ),
    );
  });
});

describe('the second look, by a process that has not the watch', () => {
  /** Nine events came within 10 ms, and the watch is a long one. */
  const state = { waiting: 9, waitMs: 290, dueInMs: 190, maxUsers: 18, maxWaitMs: 200 };

  it('is 5 ms after the call should be full, by how fast its first events came', () => {
    expect(secondLookMs(state)).toBe(10 + 5);
    expect(secondLookMs({ ...state, maxUsers: 36 })).toBe(30 + 5);
    expect(secondLookMs({ ...state, dueInMs: 160 })).toBe(40 + 5);
  });

  it('takes events of one moment for those of a millisecond', () => {
    expect(secondLookMs({ ...state, dueInMs: 200, maxUsers: 63 })).toBe(6 + 5);
    // Redis's clock was set back since the oldest came.
    expect(secondLookMs({ ...state, dueInMs: 260, maxUsers: 63 })).toBe(6 + 5);
  });

  it('is 5 ms after the call is due as it is, or after part of the wait, where it fills slowly', () => {
    expect(secondLookMs({ ...state, dueInMs: 3 })).toBe(3 + 5);
    expect(secondLookMs({ ...state, maxUsers: 100_000 })).toBe(50 + 5);
  });

  it('is when the watch ends, if that is sooner', () => {
    expect(secondLookMs({ ...state, waitMs: 15 })).toBe(15);
    expect(secondLookMs({ ...state, waitMs: 13 })).toBe(14);
    expect(secondLookMs({ ...state, waitMs: 1 })).toBe(2);
    expect(secondLookMs({ ...state, waitMs: 0 })).toBe(1);
  });

  it('is a whole number of milliseconds, at least one, never later than either', () => {
    fc.assert(
      fc.property(
        fc.record({
          waiting: fc.nat(1_000),
          waitMs: fc.nat(120_200),
          dueInMs: fc.integer({ min: -2_000, max: 60_000 }),
          maxUsers: fc.integer({ min: 1, max: 100 }),
          maxWaitMs: fc.nat(60_000),
        }),
        (any) => {
          const ms = secondLookMs(any);
          expect(Number.isInteger(ms)).toBe(true);
          expect(ms).toBeGreaterThanOrEqual(1);
          expect(ms).toBeLessThanOrEqual(any.waitMs + 1);
          expect(ms).toBeLessThanOrEqual(Math.max(1, any.dueInMs) + 5);
        },
      ),
    );
  });
});
