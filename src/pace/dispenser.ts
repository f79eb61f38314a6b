import { SLOT_CLASSES, type SlotClass } from './budget.ts';
import type { HoldWatch } from './hold-watch.ts';
import { createPulse, type Pulse } from './pulse.ts';
import type { Candidate, Slot, SlotBook } from './slot.ts';

/**
 * The one loop of a process that asks for slots of one command, and hands them to the calls that wait, best
 * class first. So a process asks once for each slot, however many of its calls wait.
 */
export interface Dispenser {
  /**
   * Resolves with a slot, or 'lost' when another run owns the record by now, or 'closing' when this process
   * stops. While the fleet is held or paused it resolves to nothing: waiting is not failing. `again`: it had a slot and
   * missed it, so it goes before the others of its class.
   */
  take(candidate: Candidate, again?: boolean): Promise<Slot | 'lost' | 'closing'>;
  /** Nobody waits: who comes now is asked for at once. */
  readonly isIdle: boolean;
  /** Answers everyone who waits with 'closing', and everyone who comes. */
  close(): void;
  /** Idle while nobody waits for a slot. */
  readonly pulse: Pulse;
}

interface Waiter {
  readonly candidate: Candidate;
  readonly resolve: (end: Slot | 'lost' | 'closing') => void;
}

/** While held or paused the channel wakes the loop; this is for the case that it was not heard. */
const DEAF_POLL_MS = 5_000;
/** Redis could not answer: ask again after this. */
const TROUBLE_WAIT_MS = 500;

export function createDispenser(options: {
  readonly book: SlotBook;
  readonly watch: HoldWatch;
  /** A probe's slot came when nobody could use it any more: its lease is to be given back. */
  readonly onUnusedProbe: (slot: Slot) => Promise<unknown>;
  readonly onTrouble: (error: Error) => void;
}): Dispenser {
  const { book, watch, onUnusedProbe, onTrouble } = options;
  const waiting = new Map<SlotClass, Waiter[]>(SLOT_CLASSES.map((slotClass) => [slotClass, []]));
  let turning = false;
  let closed = false;
  const pulse = createPulse();
  let wake: (() => void) | undefined;
  /** Something changed since the last question was asked: its answer is no ground to rest on. */
  let stirred = false;

  const stir = (): void => {
    stirred = true;
    wake?.();
  };
  watch.onChange(stir);

  const heads = (): Waiter[] =>
    SLOT_CLASSES.flatMap((slotClass) => waiting.get(slotClass)?.slice(0, 1) ?? []);
  const leave = (waiter: Waiter): void => {
    const queue = waiting.get(waiter.candidate.slotClass) ?? [];
    // Not always the first any more: somebody may have come again meanwhile.
    const at = queue.indexOf(waiter);
    if (at >= 0) queue.splice(at, 1);
  };

  /** The call that is to be the probe goes to the head of its class; false if it is there, or not here. */
  const comesForward = (callId: string): boolean => {
    for (const queue of waiting.values()) {
      const at = queue.findIndex(({ candidate }) => candidate.callId === callId);
      if (at <= 0) continue;
      queue.unshift(...queue.splice(at, 1));
      return true;
    }
    return false;
  };

  const rest = async (ms: number, wakeable: boolean): Promise<void> => {
    if (wakeable && stirred) return;
    pulse.rest(ms);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      if (!wakeable) return;
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    wake = undefined;
  };

  const turn = async (): Promise<void> => {
    const asking = heads();
    stirred = false;
    const answer = await book.ask(
      asking.map((waiter) => waiter.candidate),
      SLOT_CLASSES.filter((slotClass) => (waiting.get(slotClass)?.length ?? 0) > 1),
    );
    if (answer.epoch !== '') watch.heardOf(answer.epoch, answer.askedAtMs);
    switch (answer.kind) {
      case 'slot': {
        const waiter = asking[answer.index];
        if (waiter === undefined || closed) {
          await book.giveUp(answer.slot);
          if (answer.slot.probe) await onUnusedProbe(answer.slot);
          return;
        }
        leave(waiter);
        waiter.resolve(answer.slot);
        if (answer.nextMs > 0 && heads().length > 0) await rest(Math.ceil(answer.nextMs), false);
        return;
      }
      case 'lost': {
        const waiter = asking[answer.index];
        if (waiter === undefined || closed) return;
        leave(waiter);
        waiter.resolve('lost');
        return;
      }
      case 'later':
        // Rounded up: a timer may fire early, and asking too soon only costs a round trip.
        return rest(Math.ceil(answer.waitMs), false);
      case 'held':
        if (comesForward(answer.wanted)) return;
        return rest(Math.min(Math.ceil(answer.waitMs), DEAF_POLL_MS), true);
      case 'paused':
        return rest(DEAF_POLL_MS, true);
    }
  };

  const loop = async (): Promise<void> => {
    turning = true;
    while (!closed && heads().length > 0) {
      pulse.turn();
      try {
        await turn();
      } catch (error) {
        onTrouble(error as Error);
        await rest(TROUBLE_WAIT_MS, false);
      }
    }
    pulse.idle();
    turning = false;
  };

  return {
    take: (candidate, again = false) =>
      new Promise((resolve) => {
        if (closed) {
          resolve('closing');
          return;
        }
        const queue = waiting.get(candidate.slotClass);
        if (again) queue?.unshift({ candidate, resolve });
        else queue?.push({ candidate, resolve });
        if (!turning) void loop();
        // A loop that rests for a hold has asked for other classes only, and the newcomer may be its proof.
        else if (queue?.length === 1) wake?.();
      }),
    get isIdle() {
      return !turning;
    },
    close: () => {
      closed = true;
      for (const waiters of waiting.values()) {
        for (const waiter of waiters.splice(0)) waiter.resolve('closing');
      }
      stir();
    },
    pulse,
  };
}
