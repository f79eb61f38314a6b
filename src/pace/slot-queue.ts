import { performance } from 'node:perf_hooks';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { LoopDeadline } from '../lifecycle/loop.ts';
import { patienceMs, SLOT_CLASSES, type SlotClass } from './budget.ts';
import type { Candidate, Slot, SlotAnswer, SlotClient } from './slot.ts';

interface Waiter {
  readonly candidate: Candidate;
  readonly resolve: (end: Slot | 'lost' | 'closing') => void;
  /** A question that names it is on its way. */
  isAsked: boolean;
}

export interface SlotQueueOptions {
  readonly slots: SlotClient;
  readonly watch: HoldWatch;
  /** The slot of a probe came too late to be used: its lease is to be given back. */
  readonly onUnusedProbe: (slot: Slot) => Promise<unknown>;
  readonly onTrouble: (error: Error) => void;
}

/** Questions on their way at a time, at most: one each 10 ms to a Redis that is 160 ms away. */
const MOST_ASKED = 16;
/** While held or paused the channel wakes it; this is for the case that it was not heard. */
const DEAF_POLL_MS = 5_000;
/** Redis could not answer: ask again after this. */
const TROUBLE_WAIT_MS = 500;
const AT_ONCE = Number.NEGATIVE_INFINITY;

/**
 * Asks for slots of one command in a process, and hands them to the calls that wait, best class first. So a
 * process asks once for each slot, however many of its calls wait. If an answer takes longer than two slots
 * lie apart, the next question goes out meanwhile, for others. Where Redis is far away a process would have
 * one slot a round trip otherwise (docs/decisions/0095).
 *
 * As a loop it is idle while no call waits for a slot, and due since its oldest question that has no answer.
 */
export class SlotQueue implements LoopDeadline {
  readonly #options: SlotQueueOptions;
  readonly #patienceMs: number;
  readonly #waiting: Record<SlotClass, Waiter[]> = { live: [], retry: [], split: [], redrive: [] };
  #isClosed = false;
  /** When each question was asked that has no answer yet, oldest first. */
  readonly #onTheWay: number[] = [];
  #askedAtMs = AT_ONCE;
  /** By the newest answer nothing is to be had before, unless something changes. */
  #restUntilMs = AT_ONCE;
  /** Counts what changed: the answer to an earlier question is no reason to rest. */
  #changes = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = AT_ONCE;

  constructor(options: SlotQueueOptions) {
    this.#options = options;
    this.#patienceMs = patienceMs(options.slots.spacingMs);
    options.watch.onChange(() => this.#changed());
  }

  get dueMs(): number | null {
    return this.#onTheWay[0] ?? (this.#timer === undefined ? null : this.#timerDueMs);
  }

  /**
   * Resolves with a slot, with 'lost' when another run owns the record by now, or with 'closing' when this
   * process stops. It stays pending while the fleet is held or paused: waiting is not failing. `again`: the
   * call had a slot and missed it, so it goes before the others of its class.
   */
  take(candidate: Candidate, again = false): Promise<Slot | 'lost' | 'closing'> {
    if (this.#isClosed) return Promise.resolve('closing');
    return new Promise((resolve) => {
      const queue = this.#waiting[candidate.slotClass];
      const waiter = { candidate, resolve, isAsked: false };
      if (again) queue.unshift(waiter);
      else queue.push(waiter);
      // A rest was agreed for other classes only, and this candidate may be the proof that ends a hold.
      const endsRest = queue.length === 1;
      if (endsRest) this.#restUntilMs = AT_ONCE;
      if (endsRest || this.#timer === undefined) this.#next();
    });
  }

  /** Answers every call that waits, and every later one, with 'closing'. */
  close(): void {
    this.#isClosed = true;
    for (const queue of Object.values(this.#waiting)) {
      for (const waiter of queue.splice(0)) waiter.resolve('closing');
    }
    this.#changed();
  }

  #changed(): void {
    this.#changes += 1;
    this.#restUntilMs = AT_ONCE;
    this.#next();
  }

  /** Asks for the calls that wait, now or when it is time. Called whenever something has changed. */
  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed || SLOT_CLASSES.every((slotClass) => this.#waiting[slotClass].length === 0)) {
      this.#restUntilMs = AT_ONCE;
      return;
    }
    // The first of each class for which no question is on its way.
    const asking = SLOT_CLASSES.flatMap(
      (slotClass) => this.#waiting[slotClass].find(({ isAsked }) => !isAsked) ?? [],
    );
    // The answer to a question that is on its way calls this again.
    if (asking.length === 0 || this.#onTheWay.length === MOST_ASKED) return;
    const nowMs = performance.now();
    const patientUntilMs = this.#onTheWay.length === 0 ? AT_ONCE : this.#askedAtMs + this.#patienceMs;
    const dueMs = Math.max(this.#restUntilMs, patientUntilMs);
    if (dueMs > nowMs) {
      this.#timerDueMs = dueMs;
      this.#timer = setTimeout(() => this.#next(), Math.ceil(dueMs - nowMs));
      return;
    }
    this.#onTheWay.push(nowMs);
    this.#askedAtMs = nowMs;
    void this.#ask(asking, nowMs);
    // For the calls that are left, should the answer be long in coming.
    this.#next();
  }

  async #ask(asking: readonly Waiter[], nowMs: number): Promise<void> {
    const { slots, watch, onUnusedProbe, onTrouble } = this.#options;
    const candidates = asking.map(({ candidate }) => candidate);
    // Calls for which a question is on its way count as well: an answer on its way may put them off.
    const more = SLOT_CLASSES.filter((slotClass) => this.#waiting[slotClass].length > 1);
    const changesBefore = this.#changes;
    let restMs = 0;
    for (const waiter of asking) waiter.isAsked = true;
    try {
      const answer = await slots.ask(candidates, more);
      if (answer.epoch !== '') watch.heardOf(answer.epoch, answer.askedAtMs);
      if (!this.#isClosed) restMs = this.#handOut(answer, asking);
      else if (answer.kind === 'slot') {
        await slots.giveUp(answer.slot);
        if (answer.slot.probe) await onUnusedProbe(answer.slot);
      }
      if (this.#changes !== changesBefore) restMs = 0;
    } catch (error) {
      onTrouble(error as Error);
      restMs = TROUBLE_WAIT_MS;
    }
    for (const waiter of asking) waiter.isAsked = false;
    this.#onTheWay.splice(this.#onTheWay.indexOf(nowMs), 1);
    // Rounded up: a timer may fire early, and asking too soon only costs a round trip.
    this.#restUntilMs = restMs === 0 ? AT_ONCE : performance.now() + Math.ceil(restMs);
    this.#next();
  }

  /**
   * Hands out what the answer grants, and tells after how many ms to ask again. In one step: the answers of
   * one write come together.
   */
  #handOut(answer: SlotAnswer, asking: readonly Waiter[]): number {
    switch (answer.kind) {
      case 'slot':
        this.#end(asking[answer.index], answer.slot);
        return 0;
      case 'lost':
        this.#end(asking[answer.index], 'lost');
        return 0;
      case 'later':
        return answer.waitMs;
      case 'held':
        if (answer.wanted && this.#bringsForward(answer.wanted, asking)) return 0;
        return Math.min(answer.waitMs, DEAF_POLL_MS);
      case 'paused':
        return DEAF_POLL_MS;
    }
  }

  #end(waiter: Waiter | undefined, end: Slot | 'lost'): void {
    if (waiter === undefined) return;
    const queue = this.#waiting[waiter.candidate.slotClass];
    // It may not be the first any more: another call may have come again meanwhile.
    queue.splice(queue.indexOf(waiter), 1);
    waiter.resolve(end);
  }

  /** Puts the call that is to be the probe at the head of its class. False if asked for, or not here. */
  #bringsForward(callId: string, asked: readonly Waiter[]): boolean {
    for (const queue of Object.values(this.#waiting)) {
      const at = queue.findIndex(({ candidate }) => candidate.callId === callId);
      const wanted = queue[at];
      if (wanted === undefined) continue;
      if (wanted.isAsked || asked.includes(wanted)) return false;
      queue.unshift(...queue.splice(at, 1));
      return true;
    }
    return false;
  }
}
