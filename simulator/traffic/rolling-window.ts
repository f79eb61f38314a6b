/**
 * Counts exactly how many instants lie in the last `widthMs`, in amortised O(1).
 *
 * The window is half open: two instants exactly `widthMs` apart do not share a window. Instants must
 * not go back in time. A ring buffer holds the instants of one window and doubles when it is full.
 */
export class RollingWindow {
  readonly widthMs: number;
  #ring = new Float64Array(64);
  #head = 0;
  #size = 0;

  constructor(widthMs: number) {
    this.widthMs = widthMs;
  }

  /** Counts the instants in (nowMs − widthMs, nowMs]. */
  count(nowMs: number): number {
    const mask = this.#ring.length - 1;
    while (this.#size > 0 && (this.#ring[this.#head] ?? 0) <= nowMs - this.widthMs) {
      this.#head = (this.#head + 1) & mask;
      this.#size -= 1;
    }
    return this.#size;
  }

  /**
   * Adds one instant and returns the count, this one included. The true instant may be as early as
   * `earliestMs`, so it leaves the window at that time. Earlier instants leave no later than it.
   */
  add(nowMs: number, earliestMs = nowMs): number {
    this.count(nowMs);
    if (this.#size === this.#ring.length) this.#grow();
    const mask = this.#ring.length - 1;
    this.#ring[(this.#head + this.#size) & mask] = earliestMs;
    this.#size += 1;
    for (let i = this.#size - 2; i >= 0; i -= 1) {
      const at = (this.#head + i) & mask;
      if ((this.#ring[at] ?? 0) <= earliestMs) break;
      this.#ring[at] = earliestMs;
    }
    return this.#size;
  }

  #grow(): void {
    const old = this.#ring;
    const next = new Float64Array(old.length * 2);
    next.set(old.subarray(this.#head), 0);
    next.set(old.subarray(0, this.#head), old.length - this.#head);
    this.#ring = next;
    this.#head = 0;
  }
}
