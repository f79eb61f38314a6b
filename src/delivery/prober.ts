import type { Answer } from '../im/answers.ts';
import { decodeCheck, encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import { createLoopDeadline, type LoopDeadline } from '../lifecycle/loop-deadline.ts';
import type { HoldState } from '../pace/hold/hold-state.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import type { Slot, SlotClient } from '../pace/slot.ts';
import { sendAtSlot } from './send-at-slot.ts';

/**
 * The loop that finds out whether a hold for the app's own faults is over: account_check of an ID that does not
 * exist, under the fleet's one lease. It costs no account, and goes on when no event waits. For the account quota
 * it finds the call whose import is the proof.
 */
export interface Prober {
  close(): Promise<void>;
  /** Never idle: it looks now and then whatever happens. */
  readonly deadline: LoopDeadline;
}

interface Checked {
  readonly answer: Answer;
  readonly verdict: Verdict;
}

/** Not held: the channel tells of a hold; this is for the case that it was not heard. */
const DEAF_POLL_MS = 30_000;
const HELD_POLL_MS = 5_000;
const TROUBLE_WAIT_MS = 1_000;

export function startProber(options: {
  readonly client: ImClient;
  /** The budget of account_check. */
  readonly slots: SlotClient;
  readonly watch: HoldWatch;
  readonly hold: HoldState;
  /** Secrets are read anew before each probe, so that a rotated key heals the hold. */
  readonly signAnew: () => void;
  readonly random: () => number;
  /** A call that waits, with some of its users (at most 100); another one at each asking. */
  readonly waitingUsers: () => Promise<{ callId: string; userIds: string[] } | undefined>;
  /** Every probe is a call of the API. `answer` is as it came; the verdict's errorInfo names no user. */
  readonly onProbe: (verdict: Verdict, answer: Answer, durationMs: number) => void;
  readonly onTrouble: (error: Error) => void;
}): Prober {
  const { client, slots, watch, hold, signAnew, random, waitingUsers, onProbe, onTrouble } = options;
  let closing = false;
  let changed = false;
  let wake: (() => void) | undefined;
  const deadline = createLoopDeadline();
  watch.onChange(() => {
    changed = true;
    wake?.();
  });

  const rest = async (ms: number): Promise<void> => {
    deadline.rest(ms);
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
    if (proof !== 'check' && proof !== 'new') return rest(DEAF_POLL_MS);
    const asked = await slots.askForCheck();
    if (asked.epoch !== '') watch.heardOf(asked.epoch, asked.askedAtMs);
    switch (asked.kind) {
      case 'slot':
        return proof === 'new' ? findNewcomer(asked.slot) : probe(asked.slot);
      case 'later':
      case 'held':
        return rest(Math.min(HELD_POLL_MS, Math.ceil(asked.waitMs)));
      default:
        return rest(HELD_POLL_MS);
    }
  };

  /** Makes the check at its slot; undefined when the slot was missed, and the probe is given back. */
  const check = async (userIds: readonly string[], slot: Slot): Promise<Checked | undefined> => {
    signAnew();
    const prepared = client.prepare('account_check', encodeCheck(userIds));
    try {
      const sent = await sendAtSlot(prepared, slot, watch, slots);
      if (sent.kind === 'answered') return judged(sent.answer, userIds, sent.durationMs);
      await slots.giveUp(slot);
      if (!(await prepared.connected)) return judged(await prepared.send(), userIds, 0);
      await hold.missed(slot);
      return undefined;
    } finally {
      // Of one that was sent this does nothing.
      prepared.abandon();
    }
  };

  const probe = async (slot: Slot): Promise<void> => {
    const nobody = `imsync-probe-${Math.floor(random() * 0x1_0000_0000).toString(36)}`;
    const checked = await check([nobody], slot);
    if (checked !== undefined) await conclude(checked.verdict, slot);
  };

  /** Looks for an account that does not exist yet among the calls that wait. */
  const findNewcomer = async (slot: Slot): Promise<void> => {
    const waiting = await waitingUsers();
    if (waiting === undefined) {
      await hold.trouble(slot, { errorCode: 0, errorInfo: 'no call waits that could be the probe' });
      return;
    }
    const checked = await check(waiting.userIds, slot);
    if (checked === undefined) return;
    const { answer, verdict } = checked;
    if (verdict.class !== 'done' || answer.kind !== 'api') return conclude(verdict, slot);
    const exists = decodeCheck(answer.body);
    const proves = waiting.userIds.some((userId) => exists.get(userId) === false);
    await hold.newcomer(slot, waiting.callId, proves);
  };

  const judged = (answer: Answer, userIds: readonly string[], durationMs: number): Checked => {
    const heard = verdictOf('account_check', answer);
    const verdict = { ...heard, errorInfo: withoutUsers(heard.errorInfo, userIds) };
    onProbe(verdict, answer, durationMs);
    return { answer, verdict };
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
        await slots.throttle(slot, verdict.retryAfterMs ?? 0);
        await hold.trouble(slot, answer);
        return;
      default:
        // The API took the credentials and dislikes the ID: that proves as much.
        await hold.bad(slot, 0, answer);
    }
  };

  const loop = async (): Promise<void> => {
    while (!closing) {
      deadline.turn();
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
    deadline,
  };
}
