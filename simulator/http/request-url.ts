import { createHmac, timingSafeEqual } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { COMMANDS, type CommandName, isCommandName } from '../commands.ts';

/** The app whose signatures are accepted. */
export interface AppIdentity {
  readonly sdkAppId: number;
  readonly adminId: string;
  /** The app's key. It is used as UTF-8 text and is not hex-decoded. */
  readonly secretKey: string;
}

/** A real signature has about 200 characters. The limit keeps callers from making inflate work hard. */
const MAX_SIG_CHARS = 2048;
const MAX_JSON_BYTES = 4096;

/** The command that a URL names, or the code that answers a URL without one. */
export type Target =
  | { readonly kind: 'call'; readonly command: CommandName; readonly query: string }
  | { readonly kind: 'unknown'; readonly code: 60002 | 60009 };

/** Reads the method and URL of `POST /v4/{service}/{command}?…`. Names are case-sensitive. */
export function readTarget(method: string, url: string): Target {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const parts = /^\/v4\/([^/]+)\/([^/]+)$/.exec(path);
  if (method !== 'POST' || parts === null) return { kind: 'unknown', code: 60002 };
  const command = parts[2] ?? '';
  if (!isCommandName(command) || COMMANDS[command].service !== parts[1]) {
    return { kind: 'unknown', code: 60009 };
  }
  return { kind: 'call', command, query: mark < 0 ? '' : url.slice(mark + 1) };
}

/**
 * Checks the query of a call: sdkappid, random, contenttype, identifier, usersig, in this order.
 * Returns 0 or the first error code.
 *
 * 60012: there is no SDKAppID. 60006: it is no number. 70020: it belongs to another app.
 * 60002: `random` or `contenttype` is wrong. 60004: there is no identifier.
 * A caller who is not the admin gets the code of the command's own table (70403, 70425), else 60010.
 * register_account_v1 answers 70411 to every wrong SDKAppID.
 */
export function checkQuery(command: CommandName, query: string, app: AppIdentity, nowMs: number): number {
  const params = new URLSearchParams(query);
  const hosted = command === 'register_account_v1';

  const sdkAppId = params.get('sdkappid') ?? '';
  if (sdkAppId === '') return 60012;
  if (!/^\d{1,10}$/.test(sdkAppId)) return hosted ? 70411 : 60006;
  if (Number(sdkAppId) !== app.sdkAppId) return hosted ? 70411 : 70020;

  const random = params.get('random') ?? '';
  if (!/^\d{1,10}$/.test(random) || Number(random) > 4294967295) return 60002;
  if (params.get('contenttype') !== 'json') return 60002;

  const identifier = params.get('identifier') ?? '';
  if (identifier === '') return 60004;
  if (identifier !== app.adminId) return notAdmin(command);

  return verifyUserSig(params.get('usersig') ?? '', app, nowMs);
}

function notAdmin(command: CommandName): number {
  if (command === 'register_account_v1') return 70425;
  return command === 'multiaccount_import' || command === 'account_import' ? 70403 : 60010;
}

/**
 * Verifies a UserSig (TLSSigAPIv2) made for the app's admin. Returns 0 or the code that refuses it.
 *
 * A UserSig is base64 of zlib data, with `+`→`*`, `/`→`-`, `=`→`_`. The data is JSON with TLS.ver,
 * TLS.identifier, TLS.sdkappid, TLS.time, TLS.expire (seconds) and TLS.sig, the HMAC-SHA256 in base64.
 * Codes: 70002 empty, 70003 not decodable, 70005 fields missing, 70014 other app, 70013 other user,
 * 70009 wrong key, 70001 expired. The key is checked before the expiry, so an expired forgery is 70009.
 */
export function verifyUserSig(sig: string, app: AppIdentity, nowMs: number): number {
  if (sig === '') return 70002;
  const fields = decode(sig);
  if (fields === undefined) return 70003;

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
    return 70005;
  }
  if (sdkAppId !== app.sdkAppId) return 70014;
  if (identifier !== app.adminId) return 70013;

  const text = `TLS.identifier:${identifier}\nTLS.sdkappid:${sdkAppId}\nTLS.time:${time}\nTLS.expire:${expire}\n`;
  const expected = createHmac('sha256', app.secretKey).update(text, 'utf8').digest();
  const given = Buffer.from(mac, 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return 70009;
  return nowMs < (Number(time) + Number(expire)) * 1000 ? 0 : 70001;
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
