/**
 * How far ahead of the reply a slot must lie to be of use to this process. Where Redis is far away, a slot that
 * begins now has passed when its news arrives: without a lead no call would ever start.
 */
export interface ReservationLead {
  /** A reply took so long from Redis to here, ms. */
  saw(delayMs: number): void;
  /** 0 where Redis is near. */
  readonly ms: number;
}

/** On one machine or in one data centre a reply comes within this: nothing is to be gained. */
const NEAR_MS = 4;
/** A delay counts fully at once and fades with every reply, so that one stall does not last. */
const FADE = 0.9;
/** Further away than this nothing can be promised. */
const MOST_MS = 500;
/** Replies do not all take the same. */
const SPARE = 1.1;

export function createReservationLead(): ReservationLead {
  let slowestMs = 0;
  return {
    saw(delayMs) {
      // NaN before the clock is known.
      if (delayMs > 0) slowestMs = Math.max(Math.min(delayMs, MOST_MS), slowestMs * FADE);
    },
    get ms() {
      return slowestMs < NEAR_MS ? 0 : Math.min(MOST_MS, slowestMs * SPARE);
    },
  };
}
