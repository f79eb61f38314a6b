import fc from 'fast-check';
import { createRedisClock } from '../../../src/pace/redis-clock.ts';

const DRIFT = 500e-6;

it('knows nothing before the first sample', () => {
  const clock = createRedisClock();
  expect(clock.toLocalMs(5)).toBeNaN();
  expect(clock.uncertaintyMs).toBeNaN();
});

it('takes the middle of the first round trip', () => {
  const clock = createRedisClock();
  clock.sample(100, 110, 5_000);
  expect(clock.toLocalMs(5_000)).toBe(105);
  expect(clock.toLocalMs(5_020)).toBe(125);
  expect(clock.uncertaintyMs).toBe(5);
});

it('takes what a slow reply and a slow question have in common', () => {
  const clock = createRedisClock();
  // The clocks agree. 1 ms there, 50 ms back; then 50 ms there, 1 ms back.
  clock.sample(0, 51, 1);
  clock.sample(100, 151, 150);
  expect(clock.toLocalMs(1_000)).toBeCloseTo(1_000, 1);
  expect(clock.uncertaintyMs).toBeLessThan(1.1);
});

it('bounds loosen as they age, until a newer sample is better', () => {
  const clock = createRedisClock();
  clock.sample(0, 2, 1);
  for (let at = 1_000; at < 30_000; at += 1_000) clock.sample(at, at + 20, at + 10);
  expect(clock.uncertaintyMs).toBeLessThanOrEqual(10);
  expect(clock.uncertaintyMs).toBeGreaterThan(9);
});

/** Even over the range: doubles of a range are small ones mostly. */
const ms = (max: number) => fc.integer({ min: 1, max: max * 1_000 }).map((micros) => micros / 1_000);

/** One question to Redis: when, and how long it takes there and back. */
const questions = fc.array(fc.record({ gapMs: ms(3_000), thereMs: ms(80), backMs: ms(80) }), {
  minLength: 1,
  maxLength: 80,
});

it('is never further off than it says, nor than half of any round trip, aged, however the way jitters', () => {
  fc.assert(
    fc.property(questions, fc.double({ min: -1e9, max: 1e9, noNaN: true }), (asked, offsetMs) => {
      const clock = createRedisClock();
      const taken: { atMs: number; roundTripMs: number }[] = [];
      let nowMs = 1_000;
      for (const { gapMs, thereMs, backMs } of asked) {
        nowMs += gapMs;
        const sentAtMs = nowMs;
        nowMs += thereMs + backMs;
        clock.sample(sentAtMs, nowMs, sentAtMs + thereMs + offsetMs);
        taken.push({ atMs: nowMs, roundTripMs: thereMs + backMs });
        const off = Math.abs(clock.toLocalMs(nowMs + offsetMs) - nowMs);
        expect(off).toBeLessThanOrEqual(clock.uncertaintyMs + 1e-3);
        for (const { atMs, roundTripMs } of taken) {
          const halfAgedMs = roundTripMs / 2 + DRIFT * (nowMs - atMs);
          expect(clock.uncertaintyMs).toBeLessThanOrEqual(halfAgedMs + 1e-3);
        }
      }
    }),
    { numRuns: 500 },
  );
});

it('follows a clock that steps, forward and back, with the first reply after it', () => {
  fc.assert(
    fc.property(
      questions,
      questions,
      fc.oneof(
        fc.double({ min: 400, max: 1e9, noNaN: true }),
        fc.double({ min: -1e9, max: -400, noNaN: true }),
      ),
      (before, after, stepMs) => {
        const clock = createRedisClock();
        let nowMs = 1_000;
        const ask = (offsetMs: number, { gapMs, thereMs, backMs }: (typeof before)[number]): void => {
          nowMs += gapMs;
          const sentAtMs = nowMs;
          nowMs += thereMs + backMs;
          clock.sample(sentAtMs, nowMs, sentAtMs + thereMs + offsetMs);
        };
        for (const question of before) ask(7, question);
        for (const question of after) {
          ask(7 + stepMs, question);
          // Within what its own round trip leaves open.
          expect(Math.abs(clock.toLocalMs(nowMs + 7 + stepMs) - nowMs)).toBeLessThanOrEqual(80 + 1e-3);
        }
      },
    ),
  );
});

it('survives clocks that drift apart slowly', () => {
  const clock = createRedisClock();
  for (let at = 0; at < 600_000; at += 500) {
    const redisMs = at * (1 + 300e-6) + 0.5;
    clock.sample(at, at + 1, redisMs);
    expect(Math.abs(clock.toLocalMs(redisMs) - (at + 0.5))).toBeLessThan(1);
  }
});

it('goes on from bounds that cross by less than the drift: the clocks drifted faster than supposed', () => {
  const clock = createRedisClock();
  clock.sample(0, 0.2, 0.1);
  clock.sample(1, 1.2, 1.5);
  expect(clock.uncertaintyMs).toBeGreaterThan(0);
  expect(Math.abs(clock.toLocalMs(1.5) - 1.1)).toBeLessThan(0.4);
  clock.sample(2, 2.2, 2.5);
  expect(Math.abs(clock.toLocalMs(2.5) - 2.1)).toBeLessThan(0.4);
});

describe('a slot is of no use for a while after Redis was set forward', () => {
  const at = (clock: ReturnType<typeof createRedisClock>, nowMs: number, offsetMs: number): number => {
    clock.sample(nowMs - 2, nowMs, nowMs - 1 + offsetMs);
    return clock.slotAtLocalMs(nowMs + offsetMs);
  };
  it('a second and a half', () => {
    const clock = createRedisClock();
    expect(at(clock, 1_000, 0)).toBeCloseTo(1_000);
    expect(at(clock, 2_000, 60_000)).toBe(Number.NEGATIVE_INFINITY);
    expect(at(clock, 3_400, 60_000)).toBe(Number.NEGATIVE_INFINITY);
    expect(at(clock, 3_600, 60_000)).toBeCloseTo(3_600);
  });
  it('not when it was set back, which the script sees, nor for what the margin covers', () => {
    const clock = createRedisClock();
    at(clock, 1_000, 0);
    expect(at(clock, 2_000, -60_000)).toBeCloseTo(2_000);
    expect(at(clock, 3_000, -59_996)).toBeCloseTo(3_000);
  });
});

it('learns nothing false from a reply that is told late', () => {
  const clock = createRedisClock();
  clock.sample(10_000, 10_002, 10_001);
  clock.sample(0, 20, 10);
  expect(clock.toLocalMs(10_001)).toBe(10_001);
  expect(clock.uncertaintyMs).toBe(1);
});

describe('the lead of a reservation', () => {
  /** Replies that took so long, of a Redis whose clock is known. */
  const leadAfter = (...delaysMs: number[]): number => {
    const clock = createRedisClock();
    let nowMs = 0;
    clock.sample(nowMs, nowMs, nowMs);
    for (const delayMs of delaysMs) {
      clock.sample(nowMs, nowMs + delayMs, nowMs);
      nowMs += delayMs;
    }
    return clock.leadMs();
  };

  it('is none where Redis is near, and before anything is known', () => {
    expect(createRedisClock().leadMs()).toBe(0);
    expect(leadAfter(0.1, 3.9, 0.2)).toBe(0);
  });

  it('is a little more than the slowest reply of late', () => {
    const leadMs = leadAfter(40, 80, 60);
    expect(leadMs).toBeGreaterThan(75);
    expect(leadMs).toBeLessThan(90);
  });

  it('forgets a stall, and what is no distance any more', () => {
    expect(leadAfter(60_000)).toBe(500);
    expect(leadAfter(60_000, ...Array.from({ length: 60 }, () => 1))).toBe(0);
  });
});
