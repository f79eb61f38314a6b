/**
 * The clock by which a UserSig is signed: this machine's, until the service says that a new signature has expired.
 * Then one of two clocks is wrong by days, and the other is tried. Pure.
 */
export interface SigningClock {
  nowMs(): number;
  /** So far is this machine's clock ahead of the other one. */
  isAhead(aheadMs: number): void;
  /**
   * What was signed by it was refused as expired: the other clock is tried from now on. `sentAtMs`: when the refused call
   * was sent. Of calls sent before the last doubt nothing new is learned, and the answer is false: each of them would change
   * the clock back and forth.
   */
  doubt(sentAtMs: number): boolean;
}

/** `elapsedMs`: a clock that never goes back, as that of `sentAtMs`. */
export function createSigningClock(ownMs: () => number, elapsedMs: () => number): SigningClock {
  let knownAheadMs = 0;
  let byOther = false;
  let doubtedAtMs = Number.NEGATIVE_INFINITY;
  return {
    nowMs: () => ownMs() - (byOther ? knownAheadMs : 0),
    isAhead: (aheadMs) => {
      knownAheadMs = aheadMs;
    },
    doubt: (sentAtMs) => {
      if (sentAtMs < doubtedAtMs) return false;
      doubtedAtMs = elapsedMs();
      byOther = !byOther;
      return true;
    },
  };
}
