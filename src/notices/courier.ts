import type { Receiver } from '../config/receivers.ts';
import type { Notice } from './notice.ts';

/** DingTalk and WeCom refuse more than 20 messages a minute. */
const GAP_MS = 4_000;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 300_000;

/** What becomes of a message to a receiver. */
export interface Delivery {
  readonly receiver: Receiver;
  readonly notices: readonly Notice[];
  /** Why it was not taken; undefined when it was. */
  readonly refusal: string | undefined;
  /** Refusals in a row before this one. */
  readonly failedBefore: number;
}

/** Carries messages to one receiver, one at a time, and says when the next one may go. */
export class Courier {
  #underWay: Promise<void> | undefined;
  #failures = 0;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  /** In how many ms the next message may go; null while one is under way, whose end is told. */
  freeInMs(nowMs: number): number | null {
    return this.#underWay === undefined ? Math.max(0, this.#freeAtMs - nowMs) : null;
  }

  /** Sends with `deliver`, which never rejects, and then tells `onEnd`. */
  carry(
    receiver: Receiver,
    notices: readonly Notice[],
    deliver: () => Promise<string | undefined>,
    onEnd: (delivery: Delivery) => void,
  ): void {
    this.#underWay = deliver().then((refusal) => {
      this.#underWay = undefined;
      const failedBefore = this.#failures;
      this.#failures = refusal === undefined ? 0 : failedBefore + 1;
      const retryMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failedBefore);
      this.#freeAtMs = performance.now() + (refusal === undefined ? GAP_MS : retryMs);
      onEnd({ receiver, notices, refusal, failedBefore });
    });
  }

  /** Resolves when no message is under way. */
  async ended(): Promise<void> {
    await this.#underWay;
  }
}
