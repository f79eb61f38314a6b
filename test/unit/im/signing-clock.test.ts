import { createSigningClock } from '../../../src/im/signing-clock.ts';

const DAY_MS = 86_400_000;

test('it signs by the clock of the machine, and by the other one once that is in doubt', () => {
  const clock = createSigningClock(() => 100 * DAY_MS);
  clock.isAhead(-10 * DAY_MS);
  expect(clock.nowMs()).toBe(100 * DAY_MS);
  clock.doubt();
  expect(clock.nowMs()).toBe(110 * DAY_MS);
  // The other one was no better.
  clock.doubt();
  expect(clock.nowMs()).toBe(100 * DAY_MS);
});

test('what is learned of the other clock later counts from then on', () => {
  const clock = createSigningClock(() => 100 * DAY_MS);
  clock.doubt();
  expect(clock.nowMs()).toBe(100 * DAY_MS);
  clock.isAhead(3 * DAY_MS);
  expect(clock.nowMs()).toBe(97 * DAY_MS);
});
