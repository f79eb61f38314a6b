import { performance } from 'node:perf_hooks';
import type { LoopDeadline } from '../lifecycle/loop.ts';
import { patienceMs, SLOT_CLASSES, type SlotClass } from './budget.ts';
import type { HoldWatch } from './hold/hold-watch.ts';
import type { Candidate, Slot, SlotAnswer, SlotClient } from './slot.ts';

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
 * Asks for slots of one command in a process, and hands them to the calls that wait, best class first. So a process asks
 * once for each slot, however many of its calls wait. An answer that takes longer than two slots lie apart is not waited
 * for: the next question goes out meanwhile, for others. Where Redis is far away a process would have one slot a round
 * trip otherwise (docs/decisions/0095).
 */
export class SlotQueue implements LoopDeadline {
  readonly #options: SlotQueueOptions;
  readonly #patienceMs: number;
  readonly #waiting = new Map<SlotClass, Waiter[]>(SLOT_CLASSES.map((slotClass) => [slotClass, []]));
  #isClosed = false;
  /** When each question was asked that has no answer yet, oldest first. */
  readonly #onTheWay: number[] = [];
  #askedAtMs = AT_ONCE;
  /** By the newest answer nothing is to be had before. */
  #restUntilMs = AT_ONCE;
  #isRestWakeable = false;
  /** Counts what changed: the answer to a question of before that is no ground to rest on. */
  #changes = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = AT_ONCE;

  constructor(options: SlotQueueOptions) {
    this.#options = options;
    this.#patienceMs = patienceMs(options.slots.spacingMs);
    options.watch.onChange(() => this.#changed());
  }

  /**
   * Resolves with a slot, or 'lost' when another run owns the record by now, or 'closing' when this process
   * stops. While the fleet is held or paused it resolves to nothing: waiting is not failing. `again`: it had a slot and
   * missed it, so it goes before the others of its class.
   */
  take(candidate: Candidate, again = false): Promise<Slot | 'lost' | 'closing'> {
    if (this.#isClosed) return Promise.resolve('closing');
    return new Promise((resolve) => {
      const queue = this.#queueOf(candidate.slotClass);
      const waiter = { candidate, resolve, isAsked: false };
      if (again) queue.unshift(waiter);
      else queue.push(waiter);
      // A rest for a hold was agreed for other classes only, and this candidate may be its proof.
      const endsRest = this.#isRestWakeable && queue.length === 1;
      if (endsRest) this.#restUntilMs = AT_ONCE;
      if (endsRest || this.#timer === undefined) this.#next();
    });
  }

  /** Idle while nobody waits for a slot; due since its oldest question that has no answer. */
  get dueMs(): number | null {
    return this.#onTheWay[0] ?? (this.#timer === undefined ? null : this.#timerDueMs);
  }

  /** Answers everyone who waits with 'closing', and everyone who comes. */
  close(): void {
    this.#isClosed = true;
    for (const waiters of this.#waiting.values()) {
      for (const waiter of waiters.splice(0)) waiter.resolve('closing');
    }
    this.#changed();
  }

  /** Asks for those who wait, now or when it is time. Called whenever something has changed. */
  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed || this.#nobodyWaits()) {
      this.#restUntilMs = AT_ONCE;
      return;
    }
    const asking = this.#heads();
    // The answer to one that is on its way calls this again.
    if (asking.length === 0 || this.#onTheWay.length === MOST_ASKED) return;
    const nowMs = performance.now();
    const dueMs =
      this.#onTheWay.length === 0
        ? this.#restUntilMs
        : Math.max(this.#restUntilMs, this.#askedAtMs + this.#patienceMs);
    if (dueMs > nowMs) {
      this.#timerDueMs = dueMs;
      this.#timer = setTimeout(() => this.#next(), Math.ceil(dueMs - nowMs));
      return;
    }
    this.#onTheWay.push(nowMs);
    this.#askedAtMs = nowMs;
    void this.#ask(asking, nowMs);
    // For those who are left, should the answer be long in coming.
    this.#next();
  }

  async #ask(asking: readonly Waiter[], nowMs: number): Promise<void> {
    const { slots, watch, onTrouble } = this.#options;
    let rest: Rest | undefined;
    const changesBefore = this.#changes;
    try {
      const answering = slots.ask(
        asking.map(({ candidate }) => candidate),
        this.#classesWithMore(),
      );
      for (const waiter of asking) waiter.isAsked = true;
      const answer = await answering;
      if (answer.epoch !== '') watch.heardOf(answer.epoch, answer.askedAtMs);
      for (const waiter of asking) waiter.isAsked = false;
      if (answer.kind === 'slot' && (this.#isClosed || asking[answer.index] === undefined)) {
        await this.#giveBack(answer.slot);
      } else if (!this.#isClosed) rest = this.#handOut(answer, asking);
      if (rest?.isWakeable && this.#changes !== changesBefore) rest = undefined;
    } catch (error) {
      for (const waiter of asking) waiter.isAsked = false;
      onTrouble(error as Error);
      rest = { ms: TROUBLE_WAIT_MS, isWakeable: false };
    }
    this.#onTheWay.splice(this.#onTheWay.indexOf(nowMs), 1);
    // Rounded up: a timer may fire early, and asking too soon only costs a round trip.
    this.#restUntilMs = rest === undefined || rest.ms <= 0 ? AT_ONCE : performance.now() + Math.ceil(rest.ms);
    this.#isRestWakeable = rest?.isWakeable ?? false;
    this.#next();
  }

  async #giveBack(slot: Slot): Promise<void> {
    const { slots, onUnusedProbe } = this.#options;
    await slots.giveUp(slot);
    if (slot.probe) await onUnusedProbe(slot);
  }

  /** Hands out what the answer grants. In one step: the answers of one write come together. */
  #handOut(answer: SlotAnswer, asking: readonly Waiter[]): Rest | undefined {
    switch (answer.kind) {
      case 'slot': {
        const waiter = asking[answer.index];
        if (waiter === undefined) return;
        this.#remove(waiter);
        waiter.resolve(answer.slot);
        return { ms: answer.nextMs, isWakeable: false };
      }
      case 'lost': {
        const waiter = asking[answer.index];
        if (waiter === undefined) return;
        this.#remove(waiter);
        waiter.resolve('lost');
        return;
      }
      case 'later':
        return { ms: answer.waitMs, isWakeable: false };
      case 'held':
        if (this.#bringsForward(answer.wanted, asking)) return;
        return { ms: Math.min(answer.waitMs, DEAF_POLL_MS), isWakeable: true };
      case 'paused':
        return { ms: DEAF_POLL_MS, isWakeable: true };
    }
  }

  /** The call that is to be the probe goes to the head of its class; false if it was asked for, or is not here. */
  #bringsForward(callId: string, asked: readonly Waiter[]): boolean {
    for (const queue of this.#waiting.values()) {
      const at = queue.findIndex(({ candidate }) => candidate.callId === callId);
      const wanted = queue[at];
      if (wanted === undefined) continue;
      if (wanted.isAsked || asked.includes(wanted)) return false;
      queue.unshift(...queue.splice(at, 1));
      return true;
    }
    return false;
  }

  #queueOf(slotClass: SlotClass): Waiter[] {
    return this.#waiting.get(slotClass) ?? [];
  }

  #nobodyWaits(): boolean {
    return SLOT_CLASSES.every((slotClass) => this.#queueOf(slotClass).length === 0);
  }

  /** The first of each class for whom no question is on its way. */
  #heads(): Waiter[] {
    return SLOT_CLASSES.flatMap(
      (slotClass) => this.#queueOf(slotClass).find(({ isAsked }) => !isAsked) ?? [],
    );
  }

  /** Counts those for whom a question is on its way, too: by an answer that crossed this question they may have to wait. */
  #classesWithMore(): SlotClass[] {
    return SLOT_CLASSES.filter((slotClass) => this.#queueOf(slotClass).length > 1);
  }

  #remove(waiter: Waiter): void {
    const queue = this.#queueOf(waiter.candidate.slotClass);
    // Not always the first any more: another call may have come again meanwhile.
    const at = queue.indexOf(waiter);
    if (at >= 0) queue.splice(at, 1);
  }

  #changed(): void {
    this.#changes += 1;
    if (this.#isRestWakeable) this.#restUntilMs = AT_ONCE;
    this.#next();
  }
}
