import { performance } from 'node:perf_hooks';
import type { LoopDeadline } from '../lifecycle/loop-deadline.ts';
import { patienceMs, SLOT_CLASSES, type SlotClass } from './budget.ts';
import type { HoldWatch } from './hold/hold-watch.ts';
import type { Candidate, Slot, SlotAnswer, SlotClient } from './slot.ts';

/**
 * What asks for slots of one command in a process, and hands them to the calls that wait, best class first. So a
 * process asks once for each slot, however many of its calls wait. An answer that takes longer than two slots lie apart
 * is not waited for: the next question goes out meanwhile, for others. Where Redis is far away a process would have one
 * slot a round trip otherwise (docs/decisions/0095).
 */
export interface SlotQueue {
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
  /** Idle while nobody waits for a slot; due since its oldest question that has no answer. */
  readonly deadline: LoopDeadline;
}

interface Waiter {
  readonly candidate: Candidate;
  readonly resolve: (end: Slot | 'lost' | 'closing') => void;
  /** A question that names it is on its way. */
  isAsked: boolean;
}

/** When to ask again, by the answer to a question. `isWakeable`: or when something changes. */
interface Rest {
  readonly ms: number;
  readonly isWakeable: boolean;
}

/** Questions on their way at a time, at most: one each 10 ms to a Redis that is 160 ms away. */
const MOST_ASKED = 16;
/** While held or paused the channel wakes it; this is for the case that it was not heard. */
const DEAF_POLL_MS = 5_000;
/** Redis could not answer: ask again after this. */
const TROUBLE_WAIT_MS = 500;
const AT_ONCE = Number.NEGATIVE_INFINITY;

export function createSlotQueue(options: {
  readonly slots: SlotClient;
  readonly watch: HoldWatch;
  /** A probe's slot came when nobody could use it any more: its lease is to be given back. */
  readonly onUnusedProbe: (slot: Slot) => Promise<unknown>;
  readonly onTrouble: (error: Error) => void;
}): SlotQueue {
  const { slots, watch, onUnusedProbe, onTrouble } = options;
  const waitsMs = patienceMs(slots.spacingMs);
  const waiting = new Map<SlotClass, Waiter[]>(SLOT_CLASSES.map((slotClass) => [slotClass, []]));
  let closed = false;
  /** When each question was asked that has no answer yet, oldest first. */
  const onTheWay: number[] = [];
  let askedAtMs = AT_ONCE;
  /** By the newest answer nothing is to be had before. */
  let restUntilMs = AT_ONCE;
  let isRestWakeable = false;
  /** Counts what changed: the answer to a question of before that is no ground to rest on. */
  let stirs = 0;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = AT_ONCE;

  const queueOf = (slotClass: SlotClass): Waiter[] => waiting.get(slotClass) ?? [];
  const nobodyWaits = (): boolean => SLOT_CLASSES.every((slotClass) => queueOf(slotClass).length === 0);
  /** The first of each class for whom no question is on its way. */
  const heads = (): Waiter[] =>
    SLOT_CLASSES.flatMap((slotClass) => queueOf(slotClass).find(({ isAsked }) => !isAsked) ?? []);
  /** Also who is asked for already: by an answer that crossed this question they may have to wait. */
  const more = (): SlotClass[] => SLOT_CLASSES.filter((slotClass) => queueOf(slotClass).length > 1);
  const leave = (waiter: Waiter): void => {
    const queue = queueOf(waiter.candidate.slotClass);
    // Not always the first any more: somebody may have come again meanwhile.
    const at = queue.indexOf(waiter);
    if (at >= 0) queue.splice(at, 1);
  };

  /** The call that is to be the probe goes to the head of its class; false if it was asked for, or is not here. */
  const comesForward = (callId: string, asked: readonly Waiter[]): boolean => {
    for (const queue of waiting.values()) {
      const at = queue.findIndex(({ candidate }) => candidate.callId === callId);
      const wanted = queue[at];
      if (wanted === undefined) continue;
      if (wanted.isAsked || asked.includes(wanted)) return false;
      queue.unshift(...queue.splice(at, 1));
      return true;
    }
    return false;
  };

  /** Hands out what the answer grants. In one step: the answers of one write come together. */
  const heed = (answer: SlotAnswer, asking: readonly Waiter[]): Rest | undefined => {
    switch (answer.kind) {
      case 'slot': {
        const waiter = asking[answer.index];
        if (waiter === undefined) return;
        leave(waiter);
        waiter.resolve(answer.slot);
        return { ms: answer.nextMs, isWakeable: false };
      }
      case 'lost': {
        const waiter = asking[answer.index];
        if (waiter === undefined) return;
        leave(waiter);
        waiter.resolve('lost');
        return;
      }
      case 'later':
        return { ms: answer.waitMs, isWakeable: false };
      case 'held':
        if (comesForward(answer.wanted, asking)) return;
        return { ms: Math.min(answer.waitMs, DEAF_POLL_MS), isWakeable: true };
      case 'paused':
        return { ms: DEAF_POLL_MS, isWakeable: true };
    }
  };

  const question = async (asking: readonly Waiter[], nowMs: number): Promise<void> => {
    let rest: Rest | undefined;
    const stirsBefore = stirs;
    try {
      const answering = slots.ask(
        asking.map(({ candidate }) => candidate),
        more(),
      );
      for (const waiter of asking) waiter.isAsked = true;
      const answer = await answering;
      if (answer.epoch !== '') watch.heardOf(answer.epoch, answer.askedAtMs);
      for (const waiter of asking) waiter.isAsked = false;
      if (answer.kind === 'slot' && (closed || asking[answer.index] === undefined)) {
        await slots.giveUp(answer.slot);
        if (answer.slot.probe) await onUnusedProbe(answer.slot);
      } else if (!closed) rest = heed(answer, asking);
      if (rest?.isWakeable && stirs !== stirsBefore) rest = undefined;
    } catch (error) {
      for (const waiter of asking) waiter.isAsked = false;
      onTrouble(error as Error);
      rest = { ms: TROUBLE_WAIT_MS, isWakeable: false };
    }
    onTheWay.splice(onTheWay.indexOf(nowMs), 1);
    // Rounded up: a timer may fire early, and asking too soon only costs a round trip.
    restUntilMs = rest === undefined || rest.ms <= 0 ? AT_ONCE : performance.now() + Math.ceil(rest.ms);
    isRestWakeable = rest?.isWakeable ?? false;
    next();
  };

  /** Asks for those who wait, now or when it is time. Called whenever something has changed. */
  const next = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (closed || nobodyWaits()) {
      restUntilMs = AT_ONCE;
      return;
    }
    const asking = heads();
    // The answer to one that is on its way calls this again.
    if (asking.length === 0 || onTheWay.length === MOST_ASKED) return;
    const nowMs = performance.now();
    const dueMs = onTheWay.length === 0 ? restUntilMs : Math.max(restUntilMs, askedAtMs + waitsMs);
    if (dueMs > nowMs) {
      timerDueMs = dueMs;
      timer = setTimeout(next, Math.ceil(dueMs - nowMs));
      return;
    }
    onTheWay.push(nowMs);
    askedAtMs = nowMs;
    void question(asking, nowMs);
    // For those who are left, should the answer be long in coming.
    next();
  };

  const stir = (): void => {
    stirs += 1;
    if (isRestWakeable) restUntilMs = AT_ONCE;
    next();
  };
  watch.onChange(stir);

  return {
    take: (candidate, again = false) =>
      new Promise((resolve) => {
        if (closed) {
          resolve('closing');
          return;
        }
        const queue = queueOf(candidate.slotClass);
        const waiter = { candidate, resolve, isAsked: false };
        if (again) queue.unshift(waiter);
        else queue.push(waiter);
        // Who rests for a hold has asked for other classes only, and the newcomer may be its proof.
        const endsRest = isRestWakeable && queue.length === 1;
        if (endsRest) restUntilMs = AT_ONCE;
        if (endsRest || timer === undefined) next();
      }),
    get isIdle() {
      return nobodyWaits() && onTheWay.length === 0;
    },
    close: () => {
      closed = true;
      for (const waiters of waiting.values()) {
        for (const waiter of waiters.splice(0)) waiter.resolve('closing');
      }
      stir();
    },
    deadline: {
      get dueMs() {
        return onTheWay[0] ?? (timer === undefined ? null : timerDueMs);
      },
    },
  };
}
