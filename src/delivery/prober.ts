import { encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import type { HoldState } from '../pace/hold-state.ts';
import type { HoldWatch } from '../pace/hold-watch.ts';
import type { Slot, SlotBook } from '../pace/slot.ts';
import { sendAtSlot } from './send-at-slot.ts';

/**
 * The loop that finds out whether a hold for the app's own faults is over: account_check of an ID that does not
 * exist, under the fleet's one lease. It costs no account, and goes on when no event waits.
 */
export interface Prober {
  close(): Promise<void>;
  /** `performance.now()` of the loop's last turn, for liveness. */
  readonly lastTurnMs: number;
}

/** Not held: the channel tells of a hold; this is for the case that it was not heard. */
const DEAF_POLL_MS = 30_000;
const HELD_POLL_MS = 5_000;
const TROUBLE_WAIT_MS = 1_000;

export function startProber(options: {
  readonly client: ImClient;
  /** The budget of account_check. */
  readonly book: SlotBook;
  readonly watch: HoldWatch;
  readonly hold: HoldState;
  /** Secrets are read anew before each probe, so that a rotated key heals the hold. */
  readonly signAnew: () => void;
  readonly random: () => number;
  readonly onTrouble: (error: Error) => void;
}): Prober {
  const { client, book, watch, hold, signAnew, random, onTrouble } = options;
  let closing = false;
  let changed = false;
  let wake: (() => void) | undefined;
  let lastTurnMs = performance.now();
  watch.onChange(() => {
    changed = true;
    wake?.();
  });

  const rest = async (ms: number): Promise<void> => {
    if (!changed && !closing) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = undefined;
    }
    changed = false;
  };

  const turn = async (): Promise<void> => {
    const { proof } = await hold.read();
    if (proof !== 'check') return rest(DEAF_POLL_MS);
    const asked = await book.askForCheck();
    if (asked.epoch !== '') watch.heardOf(asked.epoch, asked.askedAtMs);
    switch (asked.kind) {
      case 'slot':
        return probe(asked.slot);
      case 'later':
      case 'held':
        return rest(Math.min(HELD_POLL_MS, Math.ceil(asked.waitMs)));
      default:
        return rest(HELD_POLL_MS);
    }
  };

  const probe = async (slot: Slot): Promise<void> => {
    signAnew();
    const nobody = `imsync-probe-${Math.floor(random() * 0x1_0000_0000).toString(36)}`;
    const prepared = client.prepare('account_check', encodeCheck([nobody]));
    const sent = await sendAtSlot(prepared, slot, watch);
    if (sent.kind === 'answered') return conclude(verdictOf('account_check', sent.answer), slot);
    await book.giveUp(slot);
    if (await prepared.connected) {
      prepared.abandon();
      await hold.missed(slot);
      return;
    }
    return conclude(verdictOf('account_check', await prepared.send()), slot);
  };

  const conclude = async (verdict: Verdict, slot: Slot): Promise<void> => {
    const answer = { errorCode: verdict.errorCode, errorInfo: verdict.errorInfo || verdict.meaning };
    switch (verdict.class) {
      case 'done':
        await hold.success(slot);
        return;
      case 'app':
        await hold.blocked(slot, {
          ...answer,
          kind: verdict.holdKind ?? 'configuration',
          ...(verdict.minProbeGapMs !== undefined && { minProbeGapMs: verdict.minProbeGapMs }),
        });
        return;
      case 'retry':
        await hold.trouble(slot, answer);
        return;
      case 'throttle':
        await book.throttle(slot, verdict.retryAfterMs ?? 0);
        await hold.trouble(slot, answer);
        return;
      default:
        // The API took the credentials and dislikes the ID: that proves as much.
        await hold.bad(slot, 0, answer);
    }
  };

  const loop = async (): Promise<void> => {
    while (!closing) {
      lastTurnMs = performance.now();
      try {
        await turn();
      } catch (error) {
        if (!closing) onTrouble(error as Error);
        await rest(TROUBLE_WAIT_MS);
      }
    }
  };
  const ended = loop();
  return {
    async close() {
      closing = true;
      wake?.();
      await ended;
    },
    get lastTurnMs() {
      return lastTurnMs;
    },
  };
}
