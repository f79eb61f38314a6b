import { makeCall } from '../../../src/delivery/make-call.ts';
import { LANDING_MS } from '../../../src/delivery/policy/backoff.ts';
import { createHoldWatch } from '../../../src/hold/hold-watch.ts';
import type { Answer } from '../../../src/im/answers.ts';
import type { ImClient, PreparedCall } from '../../../src/im/client.ts';
import { MAX_LATE_MS, TOLD_LATE_MS } from '../../../src/pace/budget.ts';
import type { Candidate, Slot, SlotClient } from '../../../src/pace/slot.ts';
import type { SlotQueue } from '../../../src/pace/slot-queue.ts';
import { eventually } from '../../support/eventually.ts';

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

const CANDIDATE: Candidate = { callId: 'c1', run: 'r1', slotClass: 'live' };
const ANSWER: Answer = { kind: 'fault', fault: 'timeout', sent: true, errorInfo: '' };
const NOW_MS = 1_000;

afterEach(() => {
  jest.restoreAllMocks();
});

/** A clock that stands still, however slow the machine is. Returns how to move it. */
function standingClock(): (ms: number) => void {
  let nowMs = NOW_MS;
  jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
  return (ms) => {
    nowMs += ms;
  };
}

/** Slots, a connection that stands, and the answer that comes over it. Tells what became of the call. */
function place(
  slots: readonly (Slot | 'lost' | 'closing')[],
  missed: (slot: Slot, lateMs: number) => Promise<void>,
  answer: PreparedCall['send'] = () => Promise.reject(new Error('not to be sent')),
) {
  const left = [...slots];
  const told: string[] = [];
  const asked: [candidate: Candidate, again: boolean | undefined][] = [];
  const prepared: PreparedCall = {
    connected: Promise.resolve(true),
    isConnected: () => true,
    send: answer,
    abandon: () => told.push('abandoned'),
  };
  const placed = makeCall(
    { prepare: () => prepared } as unknown as ImClient,
    {
      command: 'account_check',
      slots: {
        leftLate: async ({ number }: Slot, lateMs: number) => {
          told.push(`slot ${number} used ${lateMs} ms late`);
        },
      } as SlotClient,
      slotQueue: {
        take: async (candidate: Candidate, again?: boolean) => {
          asked.push([candidate, again]);
          return left.shift() ?? 'closing';
        },
      } as unknown as SlotQueue,
    },
    createHoldWatch(() => 0),
    CANDIDATE,
    '{}',
    { probing() {}, missed, silent: () => told.push('silent') },
  );
  return { placed, told, asked };
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
  [
    'that is told to the slots',
    TOLD_LATE_MS + 0.5,
    [`slot 1 used ${TOLD_LATE_MS + 0.5} ms late`, 'abandoned'],
  ],
  ['so little that it counts as punctual', TOLD_LATE_MS, ['abandoned']],
] as const)(
  'a call whose bytes leave late after the last look at the clock: %s',
  async (_, lateMs, expected) => {
    const pass = standingClock();
    const { placed, told } = place(
      [{ ...SLOT, atLocalMs: NOW_MS }],
      async () => {},
      async (onLeft) => {
        pass(lateMs);
        onLeft?.();
        return ANSWER;
      },
    );
    expect(await placed).toMatchObject({ kind: 'answered' });
    expect(told).toEqual(expected);
  },
);

test('a slot is used as late as may be, and told; later it is missed', async () => {
  standingClock();
  const late: number[] = [];
  const { placed, told } = place(
    [MAX_LATE_MS + 0.5, MAX_LATE_MS].map((lateMs, i) => ({
      ...SLOT,
      number: String(i + 1),
      atLocalMs: NOW_MS - lateMs,
    })),
    async (_, lateMs) => {
      late.push(lateMs);
    },
    async (onLeft) => {
      onLeft?.();
      return ANSWER;
    },
  );
  expect(await placed).toMatchObject({ kind: 'answered', slot: { number: '2' } });
  expect(late).toEqual([MAX_LATE_MS + 0.5]);
  expect(told).toEqual([`slot 2 used ${MAX_LATE_MS} ms late`, 'abandoned']);
});

test('a call that missed its slot asks for another as one that goes first', async () => {
  const { placed, asked } = place([SLOT, SLOT], async () => {});
  expect(await placed).toEqual({ kind: 'closing' });
  expect(asked).toEqual([
    [CANDIDATE, false],
    [CANDIDATE, true],
    [CANDIDATE, true],
  ]);
});

test('it does not wait for Redis to have heard of the missed slot before it asks', async () => {
  let hear = (): void => undefined;
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const { placed, asked } = place([SLOT], () => heard);
  await eventually('it asks again', () => asked.length === 2);
  hear();
  expect(await placed).toEqual({ kind: 'closing' });
});

test('but as a probe it does: its lease must be back before', async () => {
  let hear = (): void => undefined;
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  let isMissed = false;
  const { placed, asked } = place([{ ...SLOT, probe: true }], () => {
    isMissed = true;
    return heard;
  });
  await eventually('its slot is missed', () => isMissed);
  expect(asked).toHaveLength(1);
  hear();
  expect(await placed).toEqual({ kind: 'closing' });
  expect(asked).toHaveLength(2);
});

describe('an answer that does not come', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    standingClock();
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
    const { placed, told } = place(
      [{ ...SLOT, atLocalMs: NOW_MS, probe }],
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
