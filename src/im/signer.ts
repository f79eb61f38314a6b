import { signUserSig } from './user-sig.ts';

/** The app's key, or a UserSig made elsewhere by whoever keeps the key. */
export type Secret = { readonly secretKey: string } | { readonly userSig: string };

export interface SignerOptions {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Read again at each signing, so that a rotated secret file counts without a restart; may throw. */
  readonly readSecret: () => Secret;
  readonly nowMs: () => number;
  /** A day or more is recommended (user guide, generating UserSig). */
  readonly expireSeconds: number;
}

export interface Signer {
  /** The UserSig for a call that starts now. Throws what `readSecret` throws, if there is no earlier one. */
  current(): string;
  /** Forgets the cached one: the next `current` reads the secret and signs anew. */
  renew(): void;
}

/**
 * Signs once and keeps the result for half its life; a UserSig made elsewhere is read again as often. A clock
 * that steps back renews as well, since the service refuses a signature from its future. A secret that cannot be
 * read at a routine renewal leaves the earlier signature in use while it lasts; after `renew` it does not.
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
