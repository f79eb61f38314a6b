import { performance } from 'node:perf_hooks';
import type { Answer } from '../im/answers.ts';
import type { PreparedCall } from '../im/client.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import { MAX_LATE_MS, TOLD_LATE_MS } from '../pace/budget.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import type { Slot, SlotClient } from '../pace/slot.ts';

export type Sent =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly durationMs: number }
  /** The slot's moment passed (a stalled process, a slow connection), or the fleet was stopped meanwhile. */
  | { readonly kind: 'missed'; readonly lateMs: number };

/**
 * Sends a prepared call at its slot, or not at all. A process may be held up between the look at the clock and the write:
 * what left late all the same is told to the slots.
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
