import { stuckLoops } from '../../../src/ops/liveness.ts';
import { createHoldWatch } from '../../../src/pace/hold/hold-watch.ts';
import type { SlotAnswer, SlotBook } from '../../../src/pace/slot.ts';
import { createDispenser } from '../../../src/pace/slot-queue.ts';

const always = { answeringSinceMs: Number.NEGATIVE_INFINITY, awakeSinceMs: Number.NEGATIVE_INFINITY };

const unused = () => Promise.reject(new Error('not asked for here'));

function dispenserWith(ask: () => Promise<SlotAnswer>) {
  const book: SlotBook = {
    spacingMs: 10,
    ask: async () => ({ ...(await ask()), epoch: '', askedAtMs: 0 }),
    askForCheck: unused,
    rate: unused,
    look: unused,
    throttle: unused,
    giveUp: async () => {},
    leftLate: async () => {},
  };
  const watch = createHoldWatch(() => performance.now());
  return createDispenser({ book, watch, onUnusedProbe: async () => {}, onTrouble: () => {} });
}

const stuckAfter = (dispenser: ReturnType<typeof dispenserWith>, ms: number): unknown[] =>
  stuckLoops([{ name: 'dispenser', pulse: dispenser.pulse }], always, performance.now() + ms);

const candidate = { callId: 'c1', run: 'r1', slotClass: 'live' as const };

describe('the pulse of a dispenser', () => {
  it('stops when its question is never answered, and is idle while nobody waits', () => {
    const dispenser = dispenserWith(() => new Promise(() => {}));
    expect(stuckAfter(dispenser, 3_600_000)).toEqual([]);
    void dispenser.take(candidate);
    expect(stuckAfter(dispenser, 29_000)).toEqual([]);
    expect(stuckAfter(dispenser, 31_000)).toHaveLength(1);
    dispenser.close();
  });

  it('is due when a long rest is over, not before', async () => {
    const dispenser = dispenserWith(async () => ({ kind: 'held', waitMs: 4_000, wanted: '' }));
    const taken = dispenser.take(candidate);
    await new Promise((resolve) => setImmediate(resolve));
    expect(stuckAfter(dispenser, 33_000)).toEqual([]);
    expect(stuckAfter(dispenser, 35_000)).toHaveLength(1);
    dispenser.close();
    expect(await taken).toBe('closing');
  });
});
