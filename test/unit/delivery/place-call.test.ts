import { placeCall } from '../../../src/delivery/place-call.ts';
import type { ImClient, PreparedCall } from '../../../src/im/client.ts';
import type { Dispenser } from '../../../src/pace/dispenser.ts';
import { createHoldWatch } from '../../../src/pace/hold-watch.ts';
import { type Slot, type SlotBook, withoutRecord } from '../../../src/pace/slot.ts';

const SLOT: Slot = {
  atLocalMs: Number.NEGATIVE_INFINITY,
  atRedisMs: 0,
  epoch: '0',
  probe: false,
  heldMs: 0,
  number: '1',
  ratePerSecond: 1,
};

/** Slots that are always missed, and a connection that stands. Tells what became of it. */
function place(slots: readonly (Slot | 'lost' | 'closing')[], missed: () => Promise<void>) {
  const left = [...slots];
  const told: string[] = [];
  const prepared: PreparedCall = {
    connected: Promise.resolve(true),
    isConnected: true,
    send: () => Promise.reject(new Error('not to be sent')),
    abandon: () => told.push('abandoned'),
  };
  const placed = placeCall(
    { prepare: () => prepared } as unknown as ImClient,
    {
      command: 'account_check',
      book: {} as SlotBook,
      dispenser: { take: async () => left.shift() ?? 'closing' } as unknown as Dispenser,
    },
    createHoldWatch(() => 0),
    withoutRecord('live'),
    '{}',
    { probing() {}, missed },
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
