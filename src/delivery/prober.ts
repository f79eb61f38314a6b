import type { Answer } from '../im/answers.ts';
import { decodeCheck, encodeCheck } from '../im/bodies.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import { Loop, type LoopDeadline } from '../lifecycle/loop.ts';
import type { Slot, SlotClient } from '../pace/slot.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import { sendAtSlot } from './make-call.ts';

interface Checked {
  readonly answer: Answer;
  readonly verdict: Verdict;
}

/** While not held. A channel tells of a hold; this poll is for the case that it was not heard. */
const NOT_HELD_POLL_MS = 30_000;
const HELD_POLL_MS = 5_000;
const TROUBLE_WAIT_MS = 1_000;

export interface ProberOptions extends Pick<DeliveryOptions, 'client' | 'watch' | 'hold' | 'random'> {
  /** The budget of account_check. */
  readonly slots: SlotClient;
  /** Reads the secrets again before each probe, so that a rotated key heals the hold. */
  readonly signAnew: () => void;
  /** A call that waits, with at most 100 of its users; another call at each time. */
  readonly waitingUsers: () => Promise<{ recordKey: string; userIds: string[] } | undefined>;
  /** Every probe is a call of the API. `answer` is as it came; the verdict's errorInfo names no user. */
  readonly onProbe: (verdict: Verdict, answer: Answer, durationMs: number) => void;
  readonly onTrouble: (error: Error) => void;
}

/**
 * The loop that finds out whether a hold for the app's own faults is over: account_check of an ID that does
 * not exist, under the fleet's one lease. It costs no account, and goes on when no event waits. For the
 * account quota it finds the call whose import is the proof.
 */
export class Prober {
  readonly #options: ProberOptions;
  readonly #loop: Loop;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#loop = new Loop({
      turn: () => this.#turn(),
      errorRestMs: TROUBLE_WAIT_MS,
      onError: options.onTrouble,
    });
    options.watch.onChange(() => this.#loop.wake());
  }

  start(): void {
    this.#loop.run();
  }

  close(): Promise<void> {
    return this.#loop.stop();
  }

  /** Never idle: it looks from time to time in any case. */
  get deadline(): LoopDeadline {
    return this.#loop;
  }

  async #turn(): Promise<void> {
    const { hold, slots, watch } = this.#options;
    const { proof } = await hold.read();
    if (proof !== 'check' && proof !== 'new') return this.#loop.rest(NOT_HELD_POLL_MS);
    const asked = await slots.askForCheck();
    if (asked.epoch !== '') watch.heardOf(asked.epoch, asked.askedAtMs);
    switch (asked.kind) {
      case 'slot':
        return proof === 'new' ? this.#findNewcomer(asked.slot) : this.#probe(asked.slot);
      case 'later':
      case 'held':
        return this.#loop.rest(Math.min(HELD_POLL_MS, Math.ceil(asked.waitMs)));
      default:
        return this.#loop.rest(HELD_POLL_MS);
    }
  }

  /** Makes the check at its slot; undefined when the slot was missed, and the probe is given back. */
  async #check(userIds: readonly string[], slot: Slot): Promise<Checked | undefined> {
    const { client, slots, watch, hold, signAnew } = this.#options;
    signAnew();
    const prepared = client.prepare('account_check', encodeCheck(userIds));
    try {
      const sent = await sendAtSlot(prepared, slot, watch, slots);
      if (sent.kind === 'answered') return this.#judged(sent.answer, userIds, sent.durationMs);
      await slots.giveUp(slot);
      if (!(await prepared.connected)) return this.#judged(await prepared.send(), userIds, 0);
      await hold.missed(slot);
      return undefined;
    } finally {
      // Does nothing if it was sent.
      prepared.abandon();
    }
  }

  async #probe(slot: Slot): Promise<void> {
    const { random } = this.#options;
    const nobody = `imsync-probe-${Math.floor(random() * 0x1_0000_0000).toString(36)}`;
    const checked = await this.#check([nobody], slot);
    if (checked !== undefined) await this.#conclude(checked.verdict, slot);
  }

  /** Looks for an account that does not exist yet among the calls that wait. */
  async #findNewcomer(slot: Slot): Promise<void> {
    const { hold, waitingUsers } = this.#options;
    const waiting = await waitingUsers();
    if (waiting === undefined) {
      await hold.trouble(slot, { errorCode: 0, errorInfo: 'no call waits that could be the probe' });
      return;
    }
    const checked = await this.#check(waiting.userIds, slot);
    if (checked === undefined) return;
    const { answer, verdict } = checked;
    if (verdict.class !== 'done' || answer.kind !== 'api') return this.#conclude(verdict, slot);
    const exists = decodeCheck(answer.body);
    const proves = waiting.userIds.some((userId) => exists.get(userId) === false);
    await hold.newcomer(slot, waiting.recordKey, proves);
  }

  #judged(answer: Answer, userIds: readonly string[], durationMs: number): Checked {
    const heard = verdictOf('account_check', answer);
    const verdict = { ...heard, errorInfo: withoutUsers(heard.errorInfo, userIds) };
    this.#options.onProbe(verdict, answer, durationMs);
    return { answer, verdict };
  }

  async #conclude(verdict: Verdict, slot: Slot): Promise<void> {
    const { hold, slots } = this.#options;
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
        // The API took the credentials and refuses the ID: that proves as much.
        await hold.bad(slot, 0, answer);
    }
  }
}
