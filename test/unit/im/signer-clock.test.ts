import { createSigningClock } from '../../../src/im/signer.ts';

const DAY_MS = 86_400_000;

/** A machine whose clock stands at day 100, and what passes meanwhile. */
function machine() {
  let elapsedMs = 1_000;
  const clock = createSigningClock(
    () => 100 * DAY_MS,
    () => elapsedMs,
  );
  return {
    clock,
    pass: (ms: number) => {
      elapsedMs += ms;
      return elapsedMs;
    },
  };
}

test('it uses the clock of the machine, and the other one after a doubt', () => {
  const { clock, pass } = machine();
  clock.isAhead(-10 * DAY_MS);
  expect(clock.nowMs()).toBe(100 * DAY_MS);
  expect(clock.doubt(pass(1))).toBe(true);
  expect(clock.nowMs()).toBe(110 * DAY_MS);
  // The other one was no better.
  expect(clock.doubt(pass(1))).toBe(true);
  expect(clock.nowMs()).toBe(100 * DAY_MS);
});

test('several calls that were on the wire together count as one doubt', () => {
  const { clock, pass } = machine();
  clock.isAhead(-10 * DAY_MS);
  const sent = [pass(1), pass(1), pass(1)];
  pass(50);
  expect(sent.map((sentAtMs) => clock.doubt(sentAtMs))).toEqual([true, false, false]);
  expect(clock.nowMs()).toBe(110 * DAY_MS);
  expect(clock.doubt(pass(1))).toBe(true);
});

test('a later reading of the other clock takes effect', () => {
  const { clock, pass } = machine();
  clock.doubt(pass(1));
  expect(clock.nowMs()).toBe(100 * DAY_MS);
  clock.isAhead(3 * DAY_MS);
  expect(clock.nowMs()).toBe(97 * DAY_MS);
});
