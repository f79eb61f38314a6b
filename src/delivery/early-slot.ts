import type { HoldState } from '../pace/hold/hold-state.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';

/** A slot that was asked for beside the cut of its call, before it was known that there is one. */
export interface EarlySlot {
  /** For the first who asks; undefined to everybody after. 'lost' also when the cut made no call. */
  take(): Promise<Slot | 'lost' | 'closing'> | undefined;
  /** Neither taken nor closed: its call may be on the wire soon, as Redis has it (sentAt, slot.lua). */
  isOpen(): boolean;
  /** Gives the slot up if nobody took it. Rejects when Redis cannot be told. */
  close(): Promise<void>;
}

/**
 * Asks for the slot of a call that is being cut. Cut and question leave in one write, and Redis answers them in this
 * order: a lone event waits for one round trip less. Where no call is cut the record is not there, and the answer is
 * 'lost'. undefined while others of this process wait for slots: it would not be answered sooner.
 */
export function askEarly(
  limiter: Pick<CommandLimiter, 'slots' | 'slotQueue'>,
  hold: Pick<HoldState, 'missed'>,
  callId: string,
  run: string,
): EarlySlot | undefined {
  if (!limiter.slotQueue.isIdle) return undefined;
  const asked = limiter.slotQueue.take({ callId, run, slotClass: 'live' });
  let isTaken = false;
  return {
    take() {
      if (isTaken) return undefined;
      isTaken = true;
      return asked;
    },
    isOpen: () => !isTaken,
    async close() {
      if (isTaken) return;
      isTaken = true;
      const slot = await asked;
      if (typeof slot === 'string') return;
      await limiter.slots.giveUp(slot);
      if (slot.probe) await hold.missed(slot);
    },
  };
}
