import { createHmac } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';

/** The app's key, or a UserSig that was made elsewhere. */
export type Secret = { readonly secretKey: string } | { readonly userSig: string };

interface SignerOptions {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Called at each signing, so that a rotated secret file takes effect without a restart. It may throw. */
  readonly readSecret: () => Secret;
  /** This machine's clock. */
  readonly nowMs: () => number;
  /** A clock that never goes back. */
  readonly elapsedMs: () => number;
  /** Life of a signature. A day or more is recommended (user guide, generating UserSig). */
  readonly expireSeconds: number;
}

/**
 * Signs once and keeps the result for half its life. A UserSig made elsewhere is read again as often. It also
 * signs again when the clock steps back, since the service refuses a signature from the future. If the secret
 * cannot be read at a routine renewal, the earlier signature is used while it lasts; after `signAnew` it is
 * not.
 *
 * It signs by this machine's clock until the service says that a new signature has expired. Then one of the
 * two clocks is wrong by days, and the service's clock is tried.
 */
export function createSigner(options: SignerOptions) {
  const { sdkAppId, adminId: identifier, readSecret, elapsedMs, expireSeconds } = options;
  const lifeMs = expireSeconds * 1000;
  let cached: { readonly userSig: string; readonly signedAtMs: number } | undefined;
  let knownAheadMs = 0;
  let byOther = false;
  let doubtedAtMs = Number.NEGATIVE_INFINITY;

  function make(nowMs: number): string {
    const secret = readSecret();
    if ('userSig' in secret) return secret.userSig;
    const { secretKey } = secret;
    const nowSeconds = Math.floor(nowMs / 1000);
    return signUserSig({ sdkAppId, identifier, secretKey, nowSeconds, expireSeconds });
  }

  return {
    /** The UserSig for a call that starts now. Without an earlier one, it throws what `readSecret` throws. */
    current(): string {
      const nowMs = options.nowMs() - (byOther ? knownAheadMs : 0);
      const ageMs = cached === undefined ? Number.POSITIVE_INFINITY : nowMs - cached.signedAtMs;
      if (cached !== undefined && ageMs >= 0 && ageMs < lifeMs / 2) return cached.userSig;
      try {
        cached = { userSig: make(nowMs), signedAtMs: nowMs };
      } catch (error) {
        if (cached === undefined || ageMs < 0 || ageMs >= lifeMs) throw error;
      }
      return cached.userSig;
    },
    /** Drops the signature: the next call reads the secret again and signs. */
    signAnew(): void {
      cached = undefined;
    },
    /**
     * Like `signAnew`, after an answer that doubts the time of the signature: the other clock is tried.
     * `sentAtMs` is when the refused call was sent, by `elapsedMs`. It does nothing for a call that was sent
     * before the last switch: several calls that were on the wire together would switch back and forth.
     */
    signAnewInDoubt(sentAtMs: number): void {
      if (sentAtMs < doubtedAtMs) return;
      doubtedAtMs = elapsedMs();
      byOther = !byOther;
      cached = undefined;
    },
    /** Tells how far this machine's clock is ahead of the other one (Redis's), in ms. */
    clockIsAhead(aheadMs: number): void {
      knownAheadMs = aheadMs;
    },
  };
}

/**
 * Signs a UserSig, version 2 (user guide, generating UserSig; TLSSigAPIv2). The result is a secret: it gives
 * the admin's rights until it expires.
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

/** Reads the claims of a UserSig without the key; undefined if it is none. The signature is not checked. */
export function readUserSig(userSig: string) {
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
