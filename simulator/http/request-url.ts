import { COMMANDS, type CommandName, isCommandName } from '../commands.ts';
import type { AppIdentity, UserSigVerifier } from './user-sig.ts';

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
export function checkQuery(
  command: CommandName,
  query: string,
  app: AppIdentity,
  signatures: UserSigVerifier,
  nowMs: number,
): number {
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

  const verdict = signatures.verify(params.get('usersig') ?? '', nowMs);
  return verdict.ok ? 0 : verdict.code;
}

function notAdmin(command: CommandName): number {
  if (command === 'register_account_v1') return 70425;
  return command === 'multiaccount_import' || command === 'account_import' ? 70403 : 60010;
}
