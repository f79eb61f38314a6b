import type { SlotClass } from '../../../src/pace/budget.ts';
import { SLOT_CLASSES } from '../../../src/pace/budget.ts';
import type { Slot, SlotClient } from '../../../src/pace/slot.ts';
import type { HoldModel } from './hold-model.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * The slots of one command without Redis: when calls start, at which rate, and which of them is a probe. The rules of slot.lua
 * and throttle.lua, with a slot granted at the time it stands for: none is reserved ahead, so none is missed.
 */
export interface PaceModel {
  readonly slots: Pick<SlotClient, 'throttle'>;
  /** `callId`: the record's, '' for none. */
  take(callId: string, slotClass: SlotClass | 'check'): Promise<Slot>;
  /** The hold changed. */
  look(): void;
  /** Calls that started within the last second. */
  startedLately(): number;
}

interface Waiter {
  readonly callId: string;
  readonly slotClass: SlotClass | 'check';
  readonly resolve: (slot: Slot) => void;
}

const NEVER = { fromMs: Number.POSITIVE_INFINITY, takesSingle: false };
const MARGIN = 0.99;
const TURN_MS = 250;
const [CLIMB_SHARE, LEAST_CLIMB_S, MOST_CLIMB_S, FEEL_S, FEEL_SHARE] = [0.1, 3, 10, 2, 0.02];
const [CALM_MS, NEAR, ECHO_MS] = [30_000, 0.85, 1_200];

export function createPaceModel(
  command: string,
  perSecond: number,
  time: VirtualTime,
  hold: HoldModel,
): PaceModel {
  const rate = new ThrottledRate(perSecond * MARGIN);
  const waiting: Waiter[] = [];
  const starts: number[] = [];
  const turns = new Map<string, number>();
  let nextMs = 0;
  let dueMs = Number.POSITIVE_INFINITY;
  let count = 0;
  let notBeforeMs = 0;

  /** When the next probe of this command may go, and whether it is the turn of single users. */
  const probing = (): { readonly fromMs: number; readonly takesSingle: boolean } | undefined => {
    const { held } = hold;
    const isCheck = command === 'account_check';
    // Nobody checks what is not held.
    if (held === undefined) return isCheck ? NEVER : undefined;
    if ((held.proof === 'check') !== isCheck) return NEVER;
    const fromMs = Math.max(held.nextProbeAtMs, held.probeUntilMs);
    const isScout = held.proof === 'scout';
    if (!isScout && (held.proof !== 'import' || held.kind === 'outage'))
      return { fromMs, takesSingle: false };
    const isOfMany = held.probes % 2 === (isScout ? 1 : 0) && !(isScout && held.probes < 3);
    const isMine = (command === 'multiaccount_import') === isOfMany;
    return { fromMs: isMine && othersWait() ? fromMs : fromMs + TURN_MS, takesSingle: !isOfMany };
  };

  /** The first of each class that waits, best class first. */
  const heads = (): Waiter[] =>
    (['check', ...SLOT_CLASSES] as const).flatMap(
      (slotClass) => waiting.find((one) => one.slotClass === slotClass) ?? [],
    );

  /** Somebody besides the call that failed last. */
  const othersWait = (): boolean => heads().some(({ callId }) => callId !== hold.held?.failedProbe);

  /** Strict classes, but every waiting class gets one slot in ten. The call that failed last is not the next probe. */
  const choose = (probe: { readonly takesSingle: boolean } | undefined): Waiter | undefined => {
    const all = heads();
    if (probe === undefined)
      return all.slice(1).find(({ slotClass }) => count - (turns.get(slotClass) ?? 0) >= 10) ?? all[0];
    const others = all.filter(({ callId }) => !othersWait() || callId !== hold.held?.failedProbe);
    const single = probe.takesSingle ? others.find(({ slotClass }) => slotClass === 'split') : undefined;
    // Of an outage the classes take turns.
    const turn = hold.held?.kind === 'outage' ? hold.held.probes : 0;
    return single ?? others[turn % others.length];
  };

  const lookAt = (ms: number): void => {
    if (ms >= dueMs || ms === Number.POSITIVE_INFINITY) return;
    dueMs = ms;
    time.at(ms, () => {
      // Another look came sooner, or the hold changed since.
      if (dueMs !== ms) return;
      dueMs = Number.POSITIVE_INFINITY;
      look();
    });
  };

  const look = (): void => {
    if (waiting.length === 0) return;
    const { nowMs } = time;
    const probe = probing();
    const freeMs = Math.max(nextMs, notBeforeMs, probe?.fromMs ?? 0);
    if (freeMs > nowMs) {
      lookAt(freeMs);
      return;
    }
    const waiter = choose(probe);
    if (waiter === undefined) return;
    waiting.splice(waiting.indexOf(waiter), 1);
    const ratePerSecond = rate.now(nowMs);
    count += 1;
    turns.set(waiter.slotClass, count);
    nextMs = nowMs + 1_000 / ratePerSecond;
    starts.push(nowMs);
    if (hold.held !== undefined) hold.held.probeUntilMs = nowMs + hold.held.leaseMs;
    waiter.resolve({
      atLocalMs: nowMs,
      atRedisMs: nowMs,
      epoch: hold.epoch,
      probe: probe !== undefined,
      heldMs: hold.heldMs,
      number: String(count),
      ratePerSecond,
    });
    look();
  };

  return {
    look: () => {
      dueMs = Number.POSITIVE_INFINITY;
      look();
    },
    take: (callId, slotClass) =>
      new Promise((resolve) => {
        waiting.push({ callId, slotClass, resolve });
        look();
      }),
    startedLately() {
      while (starts[0] !== undefined && starts[0] < time.nowMs - 1_000) starts.shift();
      return starts.length;
    },
    slots: {
      async throttle(slot, retryAfterMs) {
        if (retryAfterMs > 0)
          notBeforeMs = Math.max(notBeforeMs, time.nowMs + Math.min(60_000, retryAfterMs));
        return rate.refused(slot, time.nowMs);
      },
    },
  };
}

/** throttle.lua, and what slot.lua makes of it: the rate goes down at a refusal, climbs back, and feels for the limit. */
class ThrottledRate {
  readonly #full: number;
  #cut: Cut | undefined;

  constructor(full: number) {
    this.#full = full;
  }

  now(nowMs: number): number {
    const cut = this.#cut;
    if (cut === undefined) return this.#full;
    const age = (nowMs - cut.atMs) / 1_000;
    const stood = (cut.atMs - cut.sinceMs) / 1_000;
    const climb = Math.min(MOST_CLIMB_S, Math.max(LEAST_CLIMB_S, CLIMB_SHARE * stood));
    const base = Math.min(cut.base, this.#full);
    const ceiling = 0.97 * cut.ceiling;
    if (age < climb) return base + (Math.max(0, ceiling - base) * age) / climb;
    const run = Math.max(0, age - climb - FEEL_S);
    const rate = Math.max(base, ceiling) + this.#full * (FEEL_SHARE * (age - climb) + run * run);
    if (rate < this.#full) return rate;
    this.#cut = undefined;
    return this.#full;
  }

  /** Answers the new rate, or null when an earlier refusal had lowered it already. */
  refused(slot: Slot, nowMs: number): number | null {
    const cut = this.#cut;
    if (cut !== undefined && slot.atRedisMs <= cut.atMs) return null;
    const rate = Math.min(this.#full, slot.ratePerSecond);
    const lower = (factor: number): number => Math.max(this.#full / 50, 1, rate * factor);
    if (cut !== undefined && nowMs - cut.refusedMs < ECHO_MS) {
      this.#cut = { ...cut, atMs: nowMs, base: lower(0.5) };
      return this.#cut.base;
    }
    const isNear = cut !== undefined && nowMs - cut.atMs < CALM_MS && rate >= 0.8 * cut.ceiling;
    const base = lower(isNear ? NEAR : 0.5);
    this.#cut = { atMs: nowMs, base, ceiling: rate, sinceMs: cut?.sinceMs ?? nowMs, refusedMs: nowMs };
    return base;
  }
}

interface Cut {
  readonly atMs: number;
  readonly base: number;
  readonly ceiling: number;
  readonly sinceMs: number;
  readonly refusedMs: number;
}
