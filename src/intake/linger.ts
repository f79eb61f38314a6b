/** When to look again at events that are not due yet. Pure. */

/**
 * What was seen so long ago counts half. By time and not by looks: those of one millisecond, in which nothing
 * happened to come, must not make a quick stream look slow, and the next look come late.
 */
const HALF_LIFE_MS = 10;

/** Entries a millisecond, as the watching process sees them arrive. */
export class ArrivalRate {
  #perMs = 0;
  #last: { waiting: number; atMs: number } | undefined;

  get perMs(): number {
    return this.#perMs;
  }

  /** A look at the intake found `waiting` entries. */
  saw(waiting: number, nowMs: number): void {
    const last = this.#last;
    if (last !== undefined && nowMs > last.atMs) {
      const seen = Math.max(0, waiting - last.waiting) / (nowMs - last.atMs);
      const kept = this.#perMs === 0 ? 0 : 2 ** ((last.atMs - nowMs) / HALF_LIFE_MS);
      this.#perMs = kept * this.#perMs + (1 - kept) * seen;
    }
    this.#last = { waiting, atMs: nowMs };
  }

  /**
   * A cut came when `waiting` entries were there, and took some away: no difference goes back beyond it. It
   * may raise the estimate and never lowers it, since another process may have cut before. (Not counted at
   * all, a rate that had risen was never learned: each look came so late that it found a full call, and no
   * two looks lay between two cuts.)
   */
  cut(waiting: number, nowMs: number): void {
    const last = this.#last;
    if (last !== undefined && nowMs > last.atMs)
      this.#perMs = Math.max(this.#perMs, (waiting - last.waiting) / (nowMs - last.atMs));
    this.#last = undefined;
  }
}

/** What is known of events that linger. */
interface Lingering {
  readonly waiting: number;
  readonly dueInMs: number;
  readonly maxUsers: number;
  readonly maxWaitMs: number;
}

/** By how fast its first events came, or by the rate that is known, if that is faster. */
function untilFullMs({ waiting, dueInMs, maxUsers, maxWaitMs }: Lingering, arrivalsPerMs = 0): number {
  const ageMs = Math.max(1, maxWaitMs - dueInMs);
  return (maxUsers - waiting) / Math.max(arrivalsPerMs, waiting / ageMs);
}

/** When the call is full or due as it is, or, since both are guesses, after a quarter of a wait. */
function endMs({ dueInMs, maxWaitMs }: Lingering, fullInMs: number): number {
  return Math.min(dueInMs, fullInMs, Math.max(5, maxWaitMs / 4));
}

/** Nearer than this the guess is good enough. */
const NEAR_MS = 3;
/** How much of the way to a full call is gone before the next look. */
const STRIDE = 0.6;

/**
 * Milliseconds until the watching process looks again: whole ones, at least one. Not only when the call
 * should be full: a guess that was too low (the producer, or this process, had been held up) would leave full
 * calls lying for as long as it is wrong. So it comes nearer by strides: three or four looks for each call
 * that fills up.
 */
export function nextLookMs(state: Lingering & { readonly arrivalsPerMs: number }): number {
  const fullInMs = untilFullMs(state, state.arrivalsPerMs);
  const strideMs = fullInMs > NEAR_MS ? Math.max(NEAR_MS, STRIDE * fullInMs) : fullInMs;
  return Math.max(1, Math.ceil(endMs(state, strideMs)));
}

/** The watching process looks in time if it can; this much later it is thought to be held up. */
const GRACE_MS = 5;

/**
 * Milliseconds until a process looks that has not the watch: soon after the call should be full, since the
 * one that has the watch may be held up; and when the watch ends (`waitMs`).
 */
export function secondLookMs(state: Lingering & { readonly waitMs: number }): number {
  const lookMs = Math.max(1, Math.ceil(endMs(state, untilFullMs(state))));
  return Math.min(state.waitMs + 1, lookMs + GRACE_MS);
}
