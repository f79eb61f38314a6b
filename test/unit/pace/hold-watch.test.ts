import fc from 'fast-check';
import { createHoldWatch } from '../../../src/hold/hold-watch.ts';

function setUp() {
  let now = 1_000;
  const watch = createHoldWatch(() => now);
  const changes: string[] = [];
  watch.onChange(() => changes.push('change'));
  return {
    watch,
    changes,
    pass: (ms: number) => {
      now += ms;
      return now;
    },
    now: () => now,
  };
}

it('starts with the epoch of an empty Redis', () => {
  const { watch, changes } = setUp();
  expect(watch.isCurrent('0')).toBe(true);
  expect(watch.isCurrent('1')).toBe(false);
  expect(changes).toEqual([]);
});

it('takes a newer epoch from the channel and from replies, and tells it once', () => {
  const { watch, changes, now } = setUp();
  watch.told('1');
  expect([watch.isCurrent('0'), watch.isCurrent('1')]).toEqual([false, true]);
  watch.heardOf('1', now());
  expect(changes).toHaveLength(1);
  watch.heardOf('2', now());
  expect(watch.isCurrent('2')).toBe(true);
  expect(changes).toHaveLength(2);
  watch.told('1');
  expect(watch.isCurrent('2')).toBe(true);
  expect(changes).toHaveLength(2);
});

it('the same epoch once more on the channel wakes: a probe came back without proof', () => {
  const { watch, changes } = setUp();
  watch.told('1');
  watch.told('1');
  expect(watch.isCurrent('1')).toBe(true);
  expect(changes).toHaveLength(2);
});

it('a reply that crossed the news on its way changes nothing', () => {
  const { watch, changes, pass, now } = setUp();
  const askedAtMs = now();
  pass(1);
  watch.told('5');
  pass(1);
  watch.heardOf('4', askedAtMs);
  expect(watch.isCurrent('5')).toBe(true);
  expect(changes).toHaveLength(1);
});

it('an older epoch that was asked for after the news is a Redis that counts from nothing again', () => {
  const { watch, pass } = setUp();
  watch.told('5');
  watch.heardOf('0', pass(1));
  expect(watch.isCurrent('0')).toBe(true);
  watch.told('1');
  expect(watch.isCurrent('1')).toBe(true);
});

it('ends at the truth, in whatever order news and replies come', () => {
  // Redis counts up, now and then from nothing. Each reply was asked for at some time and tells the epoch of
  // then or later; each channel message tells the epoch of its change. They arrive late and out of step.
  const steps = fc.array(fc.record({ reset: fc.boolean(), delayMs: fc.nat(50) }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(steps, (changesOfRedis) => {
      const { watch, pass, now } = setUp();
      let epoch = 0;
      for (const { reset, delayMs } of changesOfRedis) {
        const askedAtMs = now();
        const stale = String(epoch);
        epoch = reset ? 0 : epoch + 1;
        pass(delayMs);
        if (!reset) watch.told(String(epoch));
        // The reply that was on its way meanwhile.
        pass(1);
        if (Number(stale) < epoch) watch.heardOf(stale, askedAtMs);
        const asked = pass(1);
        watch.heardOf(String(epoch), asked);
        expect(watch.isCurrent(String(epoch))).toBe(true);
      }
    }),
  );
});
