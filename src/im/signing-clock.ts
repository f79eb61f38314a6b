/**
 * The clock by which a UserSig is signed: this machine's, until the service says that a new signature has expired.
 * Then one of two clocks is wrong by days, and the other is tried. Pure.
 */
export interface SigningClock {
  nowMs(): number;
  /** So far is this machine's clock ahead of the other one. */
  isAhead(aheadMs: number): void;
  /** What was signed by it was refused as expired: the other clock is tried from now on. */
  doubt(): void;
}

export function createSigningClock(ownMs: () => number): SigningClock {
  let knownAheadMs = 0;
  let byOther = false;
  return {
    nowMs: () => ownMs() - (byOther ? knownAheadMs : 0),
    isAhead: (aheadMs) => {
      knownAheadMs = aheadMs;
    },
    doubt: () => {
      byOther = !byOther;
    },
  };
}
