import { createHmac } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';

/** The parts of a UserSig. */
interface UserSigInput {
  readonly sdkAppId: number;
  /** The account that the UserSig is for. The REST API wants the app admin. */
  readonly identifier: string;
  /** The app's key. It looks hexadecimal and is used as text, not decoded. */
  readonly secretKey: string;
  readonly nowSeconds: number;
  readonly expireSeconds: number;
}

/** The claims of a UserSig, which can be read without the key. */
interface UserSigClaims {
  readonly identifier: string;
  readonly sdkAppId: number;
  readonly issuedAtSeconds: number;
  readonly expireSeconds: number;
}

/**
 * Signs a UserSig, version 2 (user guide, generating UserSig; TLSSigAPIv2). The result is a secret: it gives
 * the admin's rights until it expires. Throws a RangeError for a number that is not whole and positive.
 */
export function signUserSig(input: UserSigInput): string {
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

/** Reads the claims of a UserSig; undefined if it is none. The signature is not checked. */
export function readUserSig(userSig: string): UserSigClaims | undefined {
  const base64 = userSig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '=');
  try {
    const inflated = inflateSync(Buffer.from(base64, 'base64'), { maxOutputLength: 65_536 });
    const claims: unknown = JSON.parse(inflated.toString('utf8'));
    if (typeof claims !== 'object' || claims === null) return undefined;
    const values = claims as Record<string, unknown>;
    const identifier = values['TLS.identifier'];
    const sdkAppId = Number(values['TLS.sdkappid']);
    const issuedAtSeconds = Number(values['TLS.time']);
    const expireSeconds = Number(values['TLS.expire']);
    const numbers = [sdkAppId, issuedAtSeconds, expireSeconds];
    if (typeof identifier !== 'string' || !numbers.every(Number.isSafeInteger)) return undefined;
    return { identifier, sdkAppId, issuedAtSeconds, expireSeconds };
  } catch {
    return undefined;
  }
}
