import { signUserSig } from './user-sig.ts';

/** The app's key, or a UserSig that was made elsewhere. */
export type Secret = { readonly secretKey: string } | { readonly userSig: string };

export interface SignerOptions {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Called at each signing, so that a rotated secret file takes effect without a restart. It may throw. */
  readonly readSecret: () => Secret;
  readonly nowMs: () => number;
  /** Life of a signature. A day or more is recommended (user guide, generating UserSig). */
  readonly expireSeconds: number;
}

export interface Signer {
  /** The UserSig for a call that starts now. Without an earlier one, it throws what `readSecret` throws. */
  current(): string;
  /** Forgets the cached UserSig. The next `current` reads the secret and signs again. */
  renew(): void;
}

/**
 * Signs once and keeps the result for half its life. A UserSig made elsewhere is read again as often. It also
 * signs again when the clock steps back, since the service refuses a signature from the future. If the secret
 * cannot be read at a routine renewal, the earlier signature is used while it lasts; after `renew` it is not.
 */
export function createSigner(options: SignerOptions): Signer {
  const { sdkAppId, adminId, readSecret, nowMs, expireSeconds } = options;
  const lifeMs = expireSeconds * 1000;
  let cached: { readonly userSig: string; readonly signedAtMs: number } | undefined;

  function make(now: number): string {
    const secret = readSecret();
    if ('userSig' in secret) return secret.userSig;
    const nowSeconds = Math.floor(now / 1000);
    return signUserSig({
      sdkAppId,
      identifier: adminId,
      secretKey: secret.secretKey,
      nowSeconds,
      expireSeconds,
    });
  }

  return {
    current() {
      const now = nowMs();
      const ageMs = cached === undefined ? Number.POSITIVE_INFINITY : now - cached.signedAtMs;
      if (cached !== undefined && ageMs >= 0 && ageMs < lifeMs / 2) return cached.userSig;
      try {
        cached = { userSig: make(now), signedAtMs: now };
      } catch (error) {
        if (cached === undefined || ageMs < 0 || ageMs >= lifeMs) throw error;
      }
      return cached.userSig;
    },
    renew() {
      cached = undefined;
    },
  };
}

/**
 * The clock by which a UserSig is signed. It is this machine's until the service says that a new signature
 * has expired. Then one of the two clocks is wrong by days, and the service's clock is tried. Pure.
 */
export interface SigningClock {
  nowMs(): number;
  /** Tells how far this machine's clock is ahead of the service's, in ms. */
  isAhead(aheadMs: number): void;
  /**
   * Reports that a signature was refused as expired, and switches to the other clock. `sentAtMs` is when the
   * refused call was sent. Returns false and does nothing for a call that was sent before the last switch:
   * several calls that were on the wire together would switch back and forth.
   */
  doubt(sentAtMs: number): boolean;
}

/** `elapsedMs` is a clock that never goes back, the one of `sentAtMs`. */
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
