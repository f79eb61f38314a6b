import { createHmac } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';

/** The app's key, or a UserSig that was made elsewhere. */
export type Secret = { readonly secretKey: string } | { readonly userSig: string };

interface SignerOptions {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Called at each signing, so that a rotated secret file takes effect without a restart. It may throw. */
  readonly readSecret: () => Secret;
  readonly nowMs: () => number;
  /** Life of a signature. A day or more is recommended (user guide, generating UserSig). */
  readonly expireSeconds: number;
}

/**
 * Signs once and keeps the result for half its life. A UserSig made elsewhere is read again as often. It also
 * signs again when the clock steps back, since the service refuses a signature from the future. If the secret
 * cannot be read at a routine renewal, the earlier signature is used while it lasts; after `renew` it is not.
 */
export function createSigner({ sdkAppId, adminId, readSecret, nowMs, expireSeconds }: SignerOptions) {
  const lifeMs = expireSeconds * 1000;
  let cached: { readonly userSig: string; readonly signedAtMs: number } | undefined;

  function make(now: number): string {
    const secret = readSecret();
    if ('userSig' in secret) return secret.userSig;
    const { secretKey } = secret;
    const nowSeconds = Math.floor(now / 1000);
    return signUserSig({ sdkAppId, identifier: adminId, secretKey, nowSeconds, expireSeconds });
  }

  return {
    /** The UserSig for a call that starts now. Without an earlier one, it throws what `readSecret` throws. */
    current(): string {
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
    /** Forgets the cached UserSig. The next `current` reads the secret and signs again. */
    renew(): void {
      cached = undefined;
    },
  };
}

/**
 * The clock by which a UserSig is signed. It is this machine's until the service says that a new signature
 * has expired. Then one of the two clocks is wrong by days, and the service's clock is tried. Pure.
 *
 * `elapsedMs` is a clock that never goes back.
 */
export function createSigningClock(ownMs: () => number, elapsedMs: () => number) {
  let knownAheadMs = 0;
  let byOther = false;
  let doubtedAtMs = Number.NEGATIVE_INFINITY;
  return {
    nowMs: (): number => ownMs() - (byOther ? knownAheadMs : 0),
    /** Tells how far this machine's clock is ahead of the service's, in ms. */
    isAhead(aheadMs: number): void {
      knownAheadMs = aheadMs;
    },
    /**
     * Reports that a signature was refused as expired, and switches to the other clock. `sentAtMs` is when
     * the refused call was sent, by `elapsedMs`. Returns false and does nothing for a call that was sent
     * before the last switch: several calls that were on the wire together would switch back and forth.
     */
    doubt(sentAtMs: number): boolean {
      if (sentAtMs < doubtedAtMs) return false;
      doubtedAtMs = elapsedMs();
      byOther = !byOther;
      return true;
    },
  };
}

/**
 * Signs a UserSig, version 2 (user guide, generating UserSig; TLSSigAPIv2). The result is a secret: it gives
 * the admin's rights until it expires. Throws a RangeError for a number that is not whole and positive.
 */
export function signUserSig(input: {
  readonly sdkAppId: number;
  /** The account that the UserSig is for. The REST API wants the app admin. */
  readonly identifier: string;
  /** The app's key. It looks hexadecimal and is used as text, not decoded. */
  readonly secretKey: string;
  readonly nowSeconds: number;
  readonly expireSeconds: number;
}): string {
  const { sdkAppId, identifier, secretKey, nowSeconds, expireSeconds } = input;
  for (const [name, value] of Object.entries({ sdkAppId, nowSeconds, expireSeconds })) {
    if (!Number.isSafeInteger(value) || value <= 0)
      throw new RangeError(`${name} must be a positive whole number`);
  }
  const text =
    `TLS.identifier:${identifier}\n` +
    `TLS.sdkappid:${sdkAppId}\n` +
    `TLS.time:${nowSeconds}\n` +
    `TLS.expire:${expireSeconds}\n`;
  const claims = {
    'TLS.ver': '2.0',
    'TLS.identifier': identifier,
    'TLS.sdkappid': sdkAppId,
    'TLS.time': nowSeconds,
    'TLS.expire': expireSeconds,
    'TLS.sig': createHmac('sha256', secretKey).update(text).digest('base64'),
  };
  return deflateSync(JSON.stringify(claims))
    .toString('base64')
    .replaceAll('+', '*')
    .replaceAll('/', '-')
    .replaceAll('=', '_');
}

/** The claims of a UserSig, which can be read without the key. */
interface UserSigClaims {
  readonly identifier: string;
  readonly sdkAppId: number;
  readonly issuedAtSeconds: number;
  readonly expireSeconds: number;
}

/** Reads the claims of a UserSig; undefined if it is none. The signature is not checked. */
export function readUserSig(userSig: string): UserSigClaims | undefined {
  const base64 = userSig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '=');
  try {
    const inflated = inflateSync(Buffer.from(base64, 'base64'), { maxOutputLength: 65_536 });
    // Anything but an object has none of these members, and null throws.
    const claims: Record<string, unknown> = JSON.parse(inflated.toString('utf8'));
    const identifier = claims['TLS.identifier'];
    const sdkAppId = Number(claims['TLS.sdkappid']);
    const issuedAtSeconds = Number(claims['TLS.time']);
    const expireSeconds = Number(claims['TLS.expire']);
    const numbers = [sdkAppId, issuedAtSeconds, expireSeconds];
    if (typeof identifier !== 'string' || !numbers.every(Number.isSafeInteger)) return undefined;
    return { identifier, sdkAppId, issuedAtSeconds, expireSeconds };
  } catch {
    return undefined;
  }
}
