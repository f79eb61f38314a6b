import { createHoldWatch } from '../../../src/hold/hold-watch.ts';
import { stuckLoops } from '../../../src/ops/liveness.ts';
import type { SlotAnswer, SlotClient } from '../../../src/pace/slot.ts';
import { SlotQueue } from '../../../src/pace/slot-queue.ts';

const always = { answeringSinceMs: Number.NEGATIVE_INFINITY };

const unused = () => Promise.reject(new Error('not asked for here'));

function dispenserWith(ask: () => Promise<SlotAnswer>) {
  const slots: SlotClient = {
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
  return new SlotQueue({ slots, watch, onUnusedProbe: async () => {}, onTrouble: () => {} });
}

const stuckAfter = (slotQueue: ReturnType<typeof dispenserWith>, ms: number): unknown[] =>
  stuckLoops([{ name: 'slotQueue', deadline: slotQueue }], always, performance.now() + ms);

const candidate = { callId: 'c1', run: 'r1', slotClass: 'live' as const };

describe('the deadline of a slot queue', () => {
  it('stops when its question is never answered, and is idle while nobody waits', () => {
    const slotQueue = dispenserWith(() => new Promise(() => {}));
    expect(stuckAfter(slotQueue, 3_600_000)).toEqual([]);
    void slotQueue.take(candidate);
    expect(stuckAfter(slotQueue, 29_000)).toEqual([]);
    expect(stuckAfter(slotQueue, 31_000)).toHaveLength(1);
    slotQueue.close();
  });

  it('is due when a long rest is over, not before', async () => {
    const slotQueue = dispenserWith(async () => ({ kind: 'held', waitMs: 4_000 }));
    const taken = slotQueue.take(candidate);
    await new Promise((resolve) => setImmediate(resolve));
    expect(stuckAfter(slotQueue, 33_000)).toEqual([]);
    expect(stuckAfter(slotQueue, 35_000)).toHaveLength(1);
    slotQueue.close();
    expect(await taken).toBe('closing');
  });
});
