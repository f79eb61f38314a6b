import { performance } from 'node:perf_hooks';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { Answer } from '../im/answers.ts';
import type { ImClient, PreparedCall } from '../im/client.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import { MAX_LATE_MS, TOLD_LATE_MS } from '../pace/budget.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Candidate, Slot, SlotClient } from '../pace/slot.ts';
import { LANDING_MS } from './policy/backoff.ts';

export type CallResult =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly slot: Slot; readonly durationMs: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'closing' };

type Sent =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly durationMs: number }
  /** The slot's moment passed (a stalled process, a slow connection), or the fleet was stopped meanwhile. */
  | { readonly kind: 'missed'; readonly lateMs: number };

/** What a caller does about the slots of its call. */
export interface SlotReport {
  /** A slot was granted. */
  granted?(): void;
  /** A probe is about to be sent. */
  probing(): void;
  /** The call has been on the wire, without an answer, for longer than any call takes effect. */
  silent?(slot: Slot): void;
  /** Gives the slot up. `isConnected`: false when there was no connection; that is then the call's answer. */
  missed(slot: Slot, lateMs: number, isConnected: boolean): Promise<void>;
}

/** A connection that waited longer than this for its slot may have been closed at the other end. */
const STALE_CONNECTION_MS = 2_000;

/**
 * Makes one call: waits for its slot, connects in time, sends at the slot or not at all. A slot that is
 * missed is given up; then the call waits for another one, and keeps its connection.
 */
export async function makeCall(
  client: Pick<ImClient, 'prepare'>,
  limiter: CommandLimiter,
  watch: HoldWatch,
  candidate: Candidate,
  body: string,
  report: SlotReport,
): Promise<CallResult> {
  let prepared: PreparedCall | undefined;
  let preparedAtMs = 0;
  /** Resolves when Redis has heard of the slot that was missed. */
  let givenUp: Promise<void> | undefined;
  try {
    for (;;) {
      const slot = await limiter.slotQueue.take(candidate, givenUp !== undefined);
      await givenUp;
      if (slot === 'lost' || slot === 'closing') return { kind: slot };
      report.granted?.();
      if (!prepared?.isConnected() || performance.now() - preparedAtMs > STALE_CONNECTION_MS) {
        prepared?.abandon();
        prepared = client.prepare(limiter.command, body);
        preparedAtMs = performance.now();
      }
      if (slot.probe) report.probing();
      const stopWatching = watchForSilence(slot, report);
      const sent = await sendAtSlot(prepared, slot, watch, limiter.slots).finally(stopWatching);
      if (sent.kind === 'answered') return { slot, ...sent };
      const isConnected = await prepared.connected;
      givenUp = report.missed(slot, sent.lateMs, isConnected);
      if (isConnected && !slot.probe) {
        // The next question goes out in the same write: Redis answers in order.
        givenUp.catch(() => undefined);
        continue;
      }
      await givenUp;
      // Without a connection nothing was sent. send() tells why, and that is the answer.
      if (!isConnected) return { kind: 'answered', answer: await prepared.send(), slot, durationMs: 0 };
    }
  } finally {
    // However this ends (Redis may not hear that a slot was missed): a connection that nobody uses or closes
    // keeps the process from ending.
    prepared?.abandon();
  }
}

/** Returns how to stop. A probe that hangs needs no watch: it is replaced when its lease ends. */
function watchForSilence(slot: Slot, report: SlotReport): () => void {
  if (slot.probe) return () => undefined;
  const waitMs = Math.max(0, slot.atLocalMs - performance.now() + LANDING_MS);
  const timer = setTimeout(() => report.silent?.(slot), waitMs);
  return () => clearTimeout(timer);
}

/**
 * Sends a prepared call at its slot, or not at all. A process may be stopped between the look at the clock
 * and the write; then the slots are told that the call left late.
 */
export async function sendAtSlot(
  prepared: PreparedCall,
  slot: Slot,
  watch: HoldWatch,
  slots: Pick<SlotClient, 'leftLate'>,
): Promise<Sent> {
  await waitUntil(slot.atLocalMs);
  if (!prepared.isConnected()) {
    await Promise.race([prepared.connected, waitUntil(slot.atLocalMs + MAX_LATE_MS)]);
  }
  // From here to send() nothing is awaited: what holds now holds when the bytes leave.
  const sentAtMs = performance.now();
  const lateMs = sentAtMs - slot.atLocalMs;
  if (!prepared.isConnected() || lateMs > MAX_LATE_MS || !watch.isCurrent(slot.epoch)) {
    return { kind: 'missed', lateMs };
  }
  const answer = await prepared.send(() => {
    const leftLateMs = performance.now() - slot.atLocalMs;
    // A Redis that cannot be told grants no slots either.
    if (leftLateMs > TOLD_LATE_MS) slots.leftLate(slot, leftLateMs).catch(() => undefined);
  });
  return { kind: 'answered', answer, durationMs: performance.now() - sentAtMs };
}
