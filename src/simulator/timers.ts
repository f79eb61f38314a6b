/** Timers that can all be given up at once when the simulator closes. */
export class Timers {
  readonly #pending = new Set<NodeJS.Timeout>();

  /** Runs `work` after `delayMs`; at once, and before this returns, when there is nothing to wait. */
  after(delayMs: number, work: () => void): void {
    if (delayMs <= 0) {
      work();
      return;
    }
    const timer = setTimeout(() => {
      this.#pending.delete(timer);
      work();
    }, delayMs);
    this.#pending.add(timer);
  }

  clear(): void {
    for (const timer of this.#pending) clearTimeout(timer);
    this.#pending.clear();
  }
}
