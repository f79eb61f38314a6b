import { createHmac, timingSafeEqual } from 'node:crypto';
import { inflateSync } from 'node:zlib';

/** The app whose signatures are accepted. */
export interface AppIdentity {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** The app's key. It is used as UTF-8 text and is not hex-decoded. */
  readonly secretKey: string;
}

export type UserSigVerdict =
  | { readonly ok: true; readonly expiresAtMs: number }
  | { readonly ok: false; readonly code: 70001 | 70002 | 70003 | 70005 | 70009 | 70013 | 70014 };

/** A real signature has about 200 characters. The limit keeps callers from making inflate work hard. */
const MAX_SIG_CHARS = 2048;
const MAX_JSON_BYTES = 4096;

/**
 * Verifies a UserSig (TLSSigAPIv2) made for the app's admin.
 *
 * A UserSig is base64 of zlib data, with `+`→`*`, `/`→`-`, `=`→`_`. The data is JSON with TLS.ver,
 * TLS.identifier, TLS.sdkappid, TLS.time, TLS.expire (seconds) and TLS.sig, the HMAC-SHA256 in base64.
 * Codes: 70002 empty, 70003 not decodable, 70005 fields missing, 70014 other app, 70013 other user,
 * 70009 wrong key, 70001 expired. The key is checked before the expiry, so an expired forgery is 70009.
 */
export function verifyUserSig(sig: string, app: AppIdentity, nowMs: number): UserSigVerdict {
  if (sig === '') return { ok: false, code: 70002 };
  const fields = decode(sig);
  if (fields === undefined) return { ok: false, code: 70003 };

  const identifier = fields['TLS.identifier'];
  const sdkAppId = fields['TLS.sdkappid'];
  const time = fields['TLS.time'];
  const expire = fields['TLS.expire'];
  const mac = fields['TLS.sig'];
  if (
    fields['TLS.ver'] !== '2.0' ||
    typeof identifier !== 'string' ||
    typeof sdkAppId !== 'number' ||
    !Number.isInteger(time) ||
    !Number.isInteger(expire) ||
    typeof mac !== 'string'
  ) {
    return { ok: false, code: 70005 };
  }
  if (sdkAppId !== app.sdkAppId) return { ok: false, code: 70014 };
  if (identifier !== app.adminId) return { ok: false, code: 70013 };

  const text = `TLS.identifier:${identifier}\nTLS.sdkappid:${sdkAppId}\nTLS.time:${time}\nTLS.expire:${expire}\n`;
  const expected = createHmac('sha256', app.secretKey).update(text, 'utf8').digest();
  const given = Buffer.from(mac, 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return { ok: false, code: 70009 };

  const expiresAtMs = (Number(time) + Number(expire)) * 1000;
  return nowMs < expiresAtMs ? { ok: true, expiresAtMs } : { ok: false, code: 70001 };
}

function decode(sig: string): Record<string, unknown> | undefined {
  if (sig.length > MAX_SIG_CHARS || !/^[A-Za-z0-9*_-]+$/.test(sig)) return undefined;
  const base64 = sig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '=');
  try {
    const json = inflateSync(Buffer.from(base64, 'base64'), { maxOutputLength: MAX_JSON_BYTES });
    const value: unknown = JSON.parse(json.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Caches valid signatures until they expire, so that a call costs no HMAC. */
export class UserSigVerifier {
  readonly #app: AppIdentity;
  readonly #valid = new Map<string, number>();

  constructor(app: AppIdentity) {
    this.#app = app;
  }

  verify(sig: string, nowMs: number): UserSigVerdict {
    const expiresAtMs = this.#valid.get(sig);
    if (expiresAtMs !== undefined && nowMs < expiresAtMs) return { ok: true, expiresAtMs };
    const verdict = verifyUserSig(sig, this.#app, nowMs);
    if (verdict.ok) {
      // A client uses one signature for hours, so clearing a full cache costs next to nothing.
      if (this.#valid.size >= 256) this.#valid.clear();
      this.#valid.set(sig, verdict.expiresAtMs);
    }
    return verdict;
  }
}
