/** How often `tick` is to be called. */
export const TICK_MS = 2;

/** Ticks come a little late at the best of times. Stalls below 2 ticks and this are not seen. */
const SLACK_MS = 2;

/**
 * Knows how late the stamp of an arrival may be.
 *
 * An arrival is stamped when the event loop comes to it. A loop that was busy, or a process that did
 * not get the processor, stamps several arrivals at once and too late, and they would look like more
 * calls in one second than there were. A regular tick shows such stalls: while ticks are in time, the
 * stamp is believed; otherwise the arrival may be as old as the last tick but one, since the loop may
 * run its late tick just before it comes to the arrivals. A loop that is behind runs several ticks in one
 * turn, before it has looked for arrivals again: they count as one.
 */
export class StallWatch {
  #lastTickMs: number;
  #tickBeforeMs: number;
  #longestStallMs = 0;
  #looked = true;

  constructor(nowMs: number) {
    this.#lastTickMs = nowMs;
    this.#tickBeforeMs = nowMs;
  }

  get longestStallMs(): number {
    return this.#longestStallMs;
  }

  tick(nowMs: number): void {
    this.#longestStallMs = Math.max(this.#longestStallMs, nowMs - this.#lastTickMs - TICK_MS);
    if (!this.#looked) return;
    this.#looked = false;
    this.#tickBeforeMs = this.#lastTickMs;
    this.#lastTickMs = nowMs;
  }

  /** To be called when the loop has looked for arrivals after a tick. */
  looked(): void {
    this.#looked = true;
  }

  /** The earliest moment at which an arrival stamped now can have come. */
  earliest(nowMs: number): number {
    return nowMs - this.#tickBeforeMs > 2 * TICK_MS + SLACK_MS ? this.#tickBeforeMs : nowMs;
  }

  clear(): void {
    this.#longestStallMs = 0;
  }
}
