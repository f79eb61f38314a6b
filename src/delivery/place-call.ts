import { performance } from 'node:perf_hooks';
import type { Answer } from '../im/answers.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { ImClient, PreparedCall } from '../im/client.ts';
import { MAX_LATE_MS } from '../pace/budget.ts';
import type { Dispenser } from '../pace/dispenser.ts';
import type { HoldWatch } from '../pace/hold-watch.ts';
import type { Candidate, Slot, SlotBook } from '../pace/slot.ts';
import { waitUntil } from '../pace/wait-until.ts';

/** What one command needs to make its calls. */
export interface Line {
  readonly command: ImportCommand;
  readonly book: SlotBook;
  readonly dispenser: Dispenser;
}

export type Placed =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly slot: Slot; readonly durationMs: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'closing' };

/** A connection that waited longer than this for its slot may have been closed at the other end. */
const STALE_CONNECTION_MS = 2_000;

/**
 * Makes one call: waits for its slot, connects in time, sends at the slot or not at all. A slot is given up when
 * its moment has passed (a stalled process, a slow connection) or the fleet was stopped meanwhile; then the call
 * waits for another one, with its connection kept.
 */
export async function placeCall(
  client: ImClient,
  line: Line,
  watch: HoldWatch,
  candidate: Candidate,
  body: string,
  onGivenUp: (slot: Slot, lateMs: number) => void,
): Promise<Placed> {
  let prepared: PreparedCall | undefined;
  let preparedAtMs = 0;
  for (;;) {
    const slot = await line.dispenser.take(candidate);
    if (slot === 'lost' || slot === 'closing') {
      prepared?.abandon();
      return { kind: slot };
    }
    if (
      prepared !== undefined &&
      (!prepared.isConnected || performance.now() - preparedAtMs > STALE_CONNECTION_MS)
    ) {
      prepared.abandon();
      prepared = undefined;
    }
    if (prepared === undefined) {
      prepared = client.prepare(line.command, body);
      preparedAtMs = performance.now();
    }
    await waitUntil(slot.atLocalMs);
    if (!prepared.isConnected)
      await Promise.race([prepared.connected, waitUntil(slot.atLocalMs + MAX_LATE_MS)]);
    // From here to send() nothing is awaited: what holds now holds when the bytes leave.
    const sentAtMs = performance.now();
    const lateMs = sentAtMs - slot.atLocalMs;
    if (prepared.isConnected && lateMs <= MAX_LATE_MS && watch.isCurrent(slot.epoch)) {
      const answer = await prepared.send();
      return { kind: 'answered', answer, slot, durationMs: performance.now() - sentAtMs };
    }
    onGivenUp(slot, lateMs);
    await line.book.giveUp(slot);
    if (!(await prepared.connected)) {
      // No connection to be had: what send() says of it is the answer, and nothing was sent.
      const answer = await prepared.send();
      return { kind: 'answered', answer, slot, durationMs: performance.now() - sentAtMs };
    }
  }
}
