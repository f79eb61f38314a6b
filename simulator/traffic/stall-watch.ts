/** `tick` must be called at this interval. */
export const TICK_MS = 2;

/** Timers are always a little late. A stall below two ticks and this time is not noticed. */
const SLACK_MS = 2;

/**
 * Measures by how much the timestamp of an arrival may be late.
 *
 * An arrival gets its timestamp when the event loop reads it. After a stall of the loop or the process,
 * several arrivals get late timestamps at once. They would look like too many calls in one second.
 * A regular tick shows such stalls. While ticks are on time, the timestamp is trusted. Otherwise the arrival
 * may be as old as the tick before the last: a late loop may run its tick just before it reads the arrivals.
 * A late loop also runs several ticks before it polls for arrivals again. These count as one.
 *
 * The quota figures of benchmarks, chaos rows and the demo depend on it (maxSurelyInRollingSecond).
 */
export class StallWatch {
  #lastTickMs: number;
  #tickBeforeMs: number;
  #longestStallMs = 0;
  #polled = true;

  constructor(nowMs: number) {
    this.#lastTickMs = nowMs;
    this.#tickBeforeMs = nowMs;
  }

  get longestStallMs(): number {
    return this.#longestStallMs;
  }

  tick(nowMs: number): void {
    this.#longestStallMs = Math.max(this.#longestStallMs, nowMs - this.#lastTickMs - TICK_MS);
    if (!this.#polled) return;
    this.#polled = false;
    this.#tickBeforeMs = this.#lastTickMs;
    this.#lastTickMs = nowMs;
  }

  /** Must be called after each tick, when the loop has polled for arrivals. */
  polled(): void {
    this.#polled = true;
  }

  /** Returns the earliest possible moment of an arrival whose timestamp is `nowMs`. */
  earliest(nowMs: number): number {
    return nowMs - this.#tickBeforeMs > 2 * TICK_MS + SLACK_MS ? this.#tickBeforeMs : nowMs;
  }

  clear(): void {
    this.#longestStallMs = 0;
  }
}
