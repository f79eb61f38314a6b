import { LANDING_MS } from '../../../src/delivery/backoff.ts';
import { placeCall } from '../../../src/delivery/place-call.ts';
import type { Answer } from '../../../src/im/answers.ts';
import type { ImClient, PreparedCall } from '../../../src/im/client.ts';
import { MAX_LATE_MS } from '../../../src/pace/budget.ts';
import type { Dispenser } from '../../../src/pace/dispenser.ts';
import { createHoldWatch } from '../../../src/pace/hold-watch.ts';
import { type Slot, type SlotBook, withoutRecord } from '../../../src/pace/slot.ts';

const { jest } = import.meta;

const SLOT: Slot = {
  atLocalMs: Number.NEGATIVE_INFINITY,
  atRedisMs: 0,
  epoch: '0',
  probe: false,
  heldMs: 0,
  number: '1',
  ratePerSecond: 1,
};

/** Slots, a connection that stands, and the answer that comes over it. Tells what became of the call. */
function place(
  slots: readonly (Slot | 'lost' | 'closing')[],
  missed: () => Promise<void>,
  answer: PreparedCall['send'] = () => Promise.reject(new Error('not to be sent')),
) {
  const left = [...slots];
  const told: string[] = [];
  const prepared: PreparedCall = {
    connected: Promise.resolve(true),
    isConnected: true,
    send: answer,
    abandon: () => told.push('abandoned'),
  };
  const placed = placeCall(
    { prepare: () => prepared } as unknown as ImClient,
    {
      command: 'account_check',
      book: {
        leftLate: async ({ number }: Slot, lateMs: number) => {
          told.push(`slot ${number} used ${Math.floor(lateMs)} ms late`);
        },
      } as SlotBook,
      dispenser: { take: async () => left.shift() ?? 'closing' } as unknown as Dispenser,
    },
    createHoldWatch(() => 0),
    withoutRecord('live'),
    '{}',
    { probing() {}, missed, silent: () => told.push('silent') },
  );
  return { placed, told };
}

test.each(['lost', 'closing'] as const)('%s: the connection is given back', async (end) => {
  const { placed, told } = place([SLOT, end], async () => {});
  expect(await placed).toEqual({ kind: end });
  expect(told).toEqual(['abandoned']);
});

test('when Redis cannot be told of a missed slot, the connection is given back all the same', async () => {
  const { placed, told } = place([SLOT], () => Promise.reject(new Error('Connection is closed.')));
  await expect(placed).rejects.toThrow('Connection is closed.');
  expect(told).toEqual(['abandoned']);
});

test.each([
  ['late', MAX_LATE_MS + 2.5, ['slot 1 used 6 ms late', 'abandoned']],
  ['in time', MAX_LATE_MS - 1, ['abandoned']],
] as const)('a call whose bytes leave %s after the last look at the clock', async (_, lateMs, expected) => {
  const answered: Answer = { kind: 'fault', fault: 'timeout', sent: true, errorInfo: '' };
  let nowMs = 1_000;
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    const { placed, told } = place(
      [{ ...SLOT, atLocalMs: nowMs }],
      async () => {},
      async (onLeft) => {
        nowMs += lateMs;
        onLeft?.();
        return answered;
      },
    );
    expect(await placed).toMatchObject({ kind: 'answered' });
    expect(told).toEqual(expected);
  } finally {
    clock.mockRestore();
  }
});

describe('an answer that does not come', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** A call on the wire, and how its answer comes. */
  async function onWire(probe: boolean) {
    let answer = (_: Answer): void => undefined;
    const answered = new Promise<Answer>((resolve) => {
      answer = resolve;
    });
    const atLocalMs = performance.now();
    const { placed, told } = place(
      [{ ...SLOT, atLocalMs, probe }],
      async () => {},
      () => answered,
    );
    // Until it is sent: several turns of the queue, none of which waits for time.
    for (let i = 0; i < 10; i++) await Promise.resolve();
    return { placed, told, answer };
  }

  test('is told once, when the call can no longer take effect', async () => {
    const { told } = await onWire(false);
    jest.advanceTimersByTime(LANDING_MS - 500);
    expect(told).toEqual([]);
    jest.advanceTimersByTime(2 * LANDING_MS);
    expect(told).toEqual(['silent']);
  });

  test('of a probe is not: its lease ends', async () => {
    const { told } = await onWire(true);
    jest.advanceTimersByTime(2 * LANDING_MS);
    expect(told).toEqual([]);
  });

  test('is not told of one that came', async () => {
    const { placed, told, answer } = await onWire(false);
    answer({ kind: 'fault', fault: 'reset' } as unknown as Answer);
    expect(await placed).toMatchObject({ kind: 'answered' });
    jest.advanceTimersByTime(2 * LANDING_MS);
    expect(told).toEqual(['abandoned']);
  });
});
