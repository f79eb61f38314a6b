import fc from 'fast-check';
import { createRedisClock } from '../../../src/pace/redis-clock.ts';

const WINDOW_MS = 10_000;

it('knows nothing before the first sample', () => {
  const clock = createRedisClock();
  expect(clock.toLocalMs(5)).toBeNaN();
  expect(clock.roundTripMs).toBeNaN();
});

it('takes the middle of the round trip', () => {
  const clock = createRedisClock();
  clock.sample(100, 110, 5_000);
  expect(clock.toLocalMs(5_000)).toBe(105);
  expect(clock.toLocalMs(5_020)).toBe(125);
  expect(clock.roundTripMs).toBe(10);
});

it('prefers the smallest round trip, and forgets it after the window', () => {
  const clock = createRedisClock(WINDOW_MS);
  clock.sample(0, 2, 1);
  clock.sample(10, 30, 15);
  expect(clock.roundTripMs).toBe(2);
  for (let at = 1_000; at < 30_000; at += 1_000) clock.sample(at, at + 20, at + 10);
  expect(clock.roundTripMs).toBe(20);
});

/** Even over the range: doubles of a range are small ones mostly. */
const ms = (max: number) => fc.integer({ min: 1, max: max * 1_000 }).map((micros) => micros / 1_000);

/** One question to Redis: when, and how long it takes there and back. */
const questions = fc.array(fc.record({ gapMs: ms(3_000), thereMs: ms(80), backMs: ms(80) }), {
  minLength: 1,
  maxLength: 80,
});

it('is never further off than half the smallest round trip of the last half window, however the way jitters', () => {
  fc.assert(
    fc.property(questions, fc.double({ min: -1e9, max: 1e9, noNaN: true }), (asked, offsetMs) => {
      const clock = createRedisClock(WINDOW_MS);
      const taken: { atMs: number; roundTripMs: number }[] = [];
      let nowMs = 1_000;
      for (const { gapMs, thereMs, backMs } of asked) {
        nowMs += gapMs;
        const sentAtMs = nowMs;
        nowMs += thereMs + backMs;
        clock.sample(sentAtMs, nowMs, sentAtMs + thereMs + offsetMs);
        taken.push({ atMs: nowMs, roundTripMs: thereMs + backMs });
        const recent = taken.filter(({ atMs }) => atMs >= nowMs - WINDOW_MS / 2);
        const smallest = Math.min(...recent.map(({ roundTripMs }) => roundTripMs));
        expect(Math.abs(clock.toLocalMs(nowMs + offsetMs) - nowMs)).toBeLessThanOrEqual(smallest / 2 + 1e-3);
        expect(clock.roundTripMs).toBeLessThanOrEqual(smallest + 1e-9);
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
        fc.double({ min: 200, max: 1e9, noNaN: true }),
        fc.double({ min: -1e9, max: -200, noNaN: true }),
      ),
      (before, after, stepMs) => {
        const clock = createRedisClock(WINDOW_MS);
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
  const clock = createRedisClock(WINDOW_MS);
  for (let at = 0; at < 600_000; at += 500) {
    const redisMs = at * (1 + 100e-6) + 0.5;
    clock.sample(at, at + 1, redisMs);
    expect(Math.abs(clock.toLocalMs(redisMs) - (at + 0.5))).toBeLessThan(3);
  }
});
