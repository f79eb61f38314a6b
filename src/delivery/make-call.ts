import { performance } from 'node:perf_hooks';
import type { Answer } from '../im/answers.ts';
import type { DeliveryCommand } from '../im/bodies.ts';
import type { ImClient, PreparedCall } from '../im/client.ts';
import type { HoldState } from '../pace/hold/hold-state.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Candidate, Slot } from '../pace/slot.ts';
import { LANDING_MS } from './policy/backoff.ts';
import { sendAtSlot } from './send-at-slot.ts';

export type Placed =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly slot: Slot; readonly durationMs: number }
  | { readonly kind: 'lost' }
  | { readonly kind: 'closing' };

/** Hears of slots that are not used, and of those about to be. */
export interface SlotReport {
  /** A slot was granted: what got ready for it need not any more. */
  granted?(): void;
  /** Before a probe is sent: secrets are read anew, so that a mended one counts. */
  probing(): void;
  /** It has been on the wire for longer than any call takes effect, without an answer so far. */
  silent?(slot: Slot): void;
  /** `isConnected`: false when it was missed for want of a connection, which is then the answer. */
  missed(slot: Slot, lateMs: number, isConnected: boolean): Promise<void>;
}

/** A connection that waited longer than this for its slot may have been closed at the other end. */
const STALE_CONNECTION_MS = 2_000;

/**
 * Makes one call: waits for its slot, connects in time, sends at the slot or not at all. A slot that is missed is
 * given up; then the call waits for another one, with its connection kept.
 */
export async function makeCall(
  client: ImClient,
  limiter: CommandLimiter,
  watch: HoldWatch,
  candidate: Candidate,
  body: string,
  report: SlotReport,
): Promise<Placed> {
  let prepared: PreparedCall | undefined;
  let preparedAtMs = 0;
  /** Of a slot that was missed, once there was one. */
  let told: Promise<void> | undefined;
  try {
    for (;;) {
      const slot = await limiter.slotQueue.take(candidate, told !== undefined);
      await told;
      if (slot === 'lost' || slot === 'closing') return { kind: slot };
      report.granted?.();
      if (
        prepared !== undefined &&
        (!prepared.isConnected() || performance.now() - preparedAtMs > STALE_CONNECTION_MS)
      ) {
        prepared.abandon();
        prepared = undefined;
      }
      if (prepared === undefined) {
        prepared = client.prepare(limiter.command, body);
        preparedAtMs = performance.now();
      }
      if (slot.probe) report.probing();
      // A probe that hangs is replaced when its lease ends.
      const silence = slot.probe
        ? undefined
        : setTimeout(
            () => report.silent?.(slot),
            Math.max(0, slot.atLocalMs - performance.now() + LANDING_MS),
          );
      const sent = await sendAtSlot(prepared, slot, watch, limiter.slots).finally(() =>
        clearTimeout(silence),
      );
      if (sent.kind === 'answered') return { slot, ...sent };
      const isConnected = await prepared.connected;
      told = report.missed(slot, sent.lateMs, isConnected);
      if (isConnected && !slot.probe) {
        // The next question goes out in the same write: Redis answers in order.
        told.catch(() => undefined);
        continue;
      }
      await told;
      if (!isConnected) {
        // No connection to be had: what send() says of it is the answer, and nothing was sent.
        return { kind: 'answered', answer: await prepared.send(), slot, durationMs: 0 };
      }
    }
  } finally {
    // However it ends (Redis may not hear that a slot was missed): a connection that nobody uses or closes keeps the
    // process from ending.
    prepared?.abandon();
  }
}

/** Reports a run's slots to the hold, the limiter and the log. `release`: gives back the run's place in the admission. */
export function slotReportOf(
  options: {
    readonly hold: Pick<HoldState, 'silent' | 'missed'>;
    readonly readSecretAnew: () => void;
    readonly report: { gaveUp(command: DeliveryCommand, lateMs: number): void };
  },
  limiter: CommandLimiter,
  release: () => void,
): SlotReport {
  const { hold, readSecretAnew, report } = options;
  return {
    granted: release,
    probing: readSecretAnew,
    // If this report fails, the time-out that follows tells the same.
    silent: (slot) => void hold.silent(slot).catch(() => undefined),
    missed: async (slot, lateMs, isConnected) => {
      report.gaveUp(limiter.command, lateMs);
      await limiter.slots.giveUp(slot);
      // Without a connection the probe has an answer all the same, and the breaker gets it.
      if (slot.probe && isConnected) await hold.missed(slot);
    },
  };
}
