import { askEarly } from '../../../src/delivery/early-slot.ts';
import { createHoldWatch } from '../../../src/pace/hold/hold-watch.ts';
import type { Candidate, Slot, SlotAnswer, SlotClient } from '../../../src/pace/slot.ts';
import { createSlotQueue } from '../../../src/pace/slot-queue.ts';

const SLOT: Slot = {
  atLocalMs: 0,
  atRedisMs: 0,
  epoch: '0',
  probe: false,
  heldMs: 0,
  number: '7',
  ratePerSecond: 100,
};
const granted = (slot: Slot = SLOT): SlotAnswer => ({ kind: 'slot', index: 0, slot, nextMs: 0 });

/** A limiter that answers its questions when the test says so, and what was told of its slots. */
function limiter(told: string[] = []) {
  const asked: (readonly Candidate[])[] = [];
  const answers: ((answer: SlotAnswer) => void)[] = [];
  const unused = () => Promise.reject(new Error('not asked for here'));
  const slots: SlotClient = {
    spacingMs: 10,
    ask: async (events) => {
      asked.push(events);
      const answer = await new Promise<SlotAnswer>((resolve) => answers.push(resolve));
      return { ...answer, epoch: '', askedAtMs: 0 };
    },
    askForCheck: unused,
    rate: unused,
    look: unused,
    throttle: unused,
    giveUp: async ({ number }) => {
      told.push(`slot ${number} given up`);
    },
    leftLate: async () => {},
  };
  const slotQueue = createSlotQueue({
    slots,
    watch: createHoldWatch(() => 0),
    onUnusedProbe: async () => {},
    onTrouble: () => {},
  });
  return { slots, slotQueue, asked, answer: (answer: SlotAnswer) => answers.shift()?.(answer) };
}

const holdOf = (told: string[]) => ({
  missed: async ({ epoch, probe }: { epoch: string; probe: boolean }) => {
    told.push(`${probe ? 'probe' : 'call'} of epoch ${epoch} missed`);
    return 'noted' as const;
  },
});

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A slot that was asked for early, and the limiter that it comes from. */
function askedEarly() {
  const told: string[] = [];
  const from = limiter(told);
  const early = askEarly(from, holdOf(told), 'c1', 'r1');
  if (early === undefined) throw new Error('not asked for');
  return { early, told, ...from };
}

it('is asked for before the loop turns, as the slot of a live call', () => {
  const { asked } = askedEarly();
  expect(asked).toEqual([[{ callId: 'c1', run: 'r1', slotClass: 'live' }]]);
});

it('is not asked for while others of this process wait, and is when they have theirs', async () => {
  const from = limiter();
  const waiting = from.slotQueue.take({ callId: 'c0', run: 'r0', slotClass: 'retry' });
  expect(askEarly(from, holdOf([]), 'c1', 'r1')).toBeUndefined();
  from.answer(granted());
  await waiting;
  await settled();
  expect(from.asked).toEqual([[{ callId: 'c0', run: 'r0', slotClass: 'retry' }]]);
  expect(askEarly(from, holdOf([]), 'c1', 'r1')).toBeDefined();
});

it('goes to the first who asks, and to nobody after', async () => {
  const { early, answer, told, asked } = askedEarly();
  const first = early.take();
  expect(early.take()).toBeUndefined();
  answer(granted());
  expect(await first).toEqual(SLOT);
  expect(early.take()).toBeUndefined();
  await early.close();
  expect([told, asked.length]).toEqual([[], 1]);
});

it('is lost where the cut made no call', async () => {
  const { early, answer } = askedEarly();
  answer({ kind: 'lost', index: 0 });
  expect(await early.take()).toBe('lost');
});

it('comes no more when the process stops', async () => {
  const { early, slotQueue } = askedEarly();
  slotQueue.close();
  expect(await early.take()).toBe('closing');
});

describe('when nobody took it', () => {
  it('is given up, once', async () => {
    const { early, answer, told } = askedEarly();
    answer(granted());
    await Promise.all([early.close(), early.close()]);
    expect(told).toEqual(['slot 7 given up']);
    expect(early.take()).toBeUndefined();
  });

  it('is given up when it comes, and nobody gets it meanwhile', async () => {
    const { early, answer, told } = askedEarly();
    let isClosed = false;
    const closed = early.close().then(() => {
      isClosed = true;
    });
    expect(early.take()).toBeUndefined();
    await settled();
    expect([isClosed, told]).toEqual([false, []]);
    answer(granted());
    await closed;
    expect(told).toEqual(['slot 7 given up']);
  });

  it('gives back the lease of a probe', async () => {
    const { early, answer, told } = askedEarly();
    answer(granted({ ...SLOT, epoch: '3', probe: true }));
    await early.close();
    expect(told).toEqual(['slot 7 given up', 'probe of epoch 3 missed']);
  });

  it.each<[string, (limiter: ReturnType<typeof askedEarly>) => void]>([
    ['the call is lost', ({ answer }) => answer({ kind: 'lost', index: 0 })],
    ['the process stops', ({ slotQueue }) => slotQueue.close()],
  ])('and %s, there is none to give up', async (_, end) => {
    const all = askedEarly();
    end(all);
    await all.early.close();
    expect(all.told).toEqual([]);
  });

  it('says so when Redis cannot be told', async () => {
    const { early, answer, slots } = askedEarly();
    slots.giveUp = () => Promise.reject(new Error('READONLY'));
    answer(granted());
    await expect(early.close()).rejects.toThrow('READONLY');
  });
});

test('it is open until somebody takes it, or it is closed', async () => {
  const { early } = askedEarly();
  expect(early.isOpen()).toBe(true);
  void early.take();
  expect(early.isOpen()).toBe(false);
  const other = askedEarly().early;
  void other.close();
  expect(other.isOpen()).toBe(false);
});
