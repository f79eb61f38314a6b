/**
 * Counts how many instants lie in the last `widthMs`.
 *
 * The window is half open: two instants exactly `widthMs` apart do not share a window.
 * Instants must not go back in time.
 */
export class RollingWindow {
  readonly widthMs: number;
  /** Oldest first. Those before `#head` have left the window. */
  #instants: number[] = [];
  #head = 0;

  constructor(widthMs: number) {
    this.widthMs = widthMs;
  }

  /** Counts the instants in (nowMs − widthMs, nowMs]. */
  count(nowMs: number): number {
    while ((this.#instants[this.#head] ?? nowMs) <= nowMs - this.widthMs) this.#head += 1;
    if (this.#head > 1000 && this.#head > this.#instants.length / 2) {
      this.#instants = this.#instants.slice(this.#head);
      this.#head = 0;
    }
    return this.#instants.length - this.#head;
  }

  /**
   * Adds one instant and returns the count, this one included. The true instant may be as early as
   * `earliestMs`, so it leaves the window at that time. Earlier instants leave no later than it.
   */
  add(nowMs: number, earliestMs = nowMs): number {
    const count = this.count(nowMs);
    this.#instants.push(earliestMs);
    for (let i = this.#instants.length - 2; i >= this.#head; i -= 1) {
      if ((this.#instants[i] ?? 0) <= earliestMs) break;
      this.#instants[i] = earliestMs;
    }
    return count + 1;
  }
}

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

/** The arrivals of requests, refused ones included. A request arrives when its headers are read. */
export interface ArrivalReport {
  readonly calls: number;
  /** The most arrivals within any 1000 ms. Two calls exactly 1000 ms apart do not share a second. */
  readonly maxInRollingSecond: number;
  /** Like maxInRollingSecond, but without arrivals that share a second only because of late timestamps. */
  readonly maxSurelyInRollingSecond: number;
  readonly maxIn10Ms: number;
  /** Like maxIn10Ms, but without arrivals that share 10 ms only because of late timestamps. */
  readonly maxSurelyIn10Ms: number;
  readonly startedLastSecond: number;
}

/** Counts arrivals, and the most within a second and within 10 ms. */
export class ArrivalMeter {
  readonly #second = new Peak(1000);
  readonly #sureSecond = new Peak(1000);
  readonly #instant = new Peak(10);
  readonly #sureInstant = new Peak(10);
  #calls = 0;

  /** The request may have arrived as early as `earliestMs`, see StallWatch. */
  add(nowMs: number, earliestMs: number): void {
    this.#calls += 1;
    this.#second.add(nowMs, nowMs);
    this.#sureSecond.add(nowMs, earliestMs);
    this.#instant.add(nowMs, nowMs);
    this.#sureInstant.add(nowMs, earliestMs);
  }

  report(nowMs: number): ArrivalReport {
    return {
      calls: this.#calls,
      maxInRollingSecond: this.#second.most,
      maxSurelyInRollingSecond: this.#sureSecond.most,
      maxIn10Ms: this.#instant.most,
      maxSurelyIn10Ms: this.#sureInstant.most,
      startedLastSecond: this.#second.window.count(nowMs),
    };
  }
}

/** The most instants that a rolling window ever held. */
class Peak {
  readonly window: RollingWindow;
  most = 0;

  constructor(widthMs: number) {
    this.window = new RollingWindow(widthMs);
  }

  add(nowMs: number, earliestMs: number): void {
    this.most = Math.max(this.most, this.window.add(nowMs, earliestMs));
  }
}
