import type { CommandName } from './commands.ts';

/**
 * The meaning of an answer for the worker.
 * - `done`: imported, except for the users in FailAccounts.
 * - `retry`: send the same work again later.
 * - `throttle`: slow down; it costs the work no attempt.
 * - `account`: this account is refused for good.
 * - `body`: something in this request is refused; split it to find out what.
 * - `app`: no call can succeed; hold all calls and keep everything.
 * - `unknown`: no table lists the code.
 */
export type VerdictClass = 'done' | 'retry' | 'throttle' | 'account' | 'body' | 'app' | 'unknown';

/** The kind of thing that has to change before calls can succeed again. `proxy` comes from no code. */
export type HoldKind =
  | 'proxy'
  | 'credentials'
  | 'quota'
  | 'disabled'
  | 'region'
  | 'permission'
  | 'configuration';

export interface VerdictRow {
  readonly codes: readonly number[];
  readonly meaning: string;
  readonly class: VerdictClass;
  readonly source: string;
  /** What has to be fixed before calls can succeed: class app, and `proxy` in class retry. */
  readonly holdKind?: HoldKind;
  /** Class app: the shortest time between two probes. */
  readonly minProbeGapMs?: number;
  /** Class app: a new UserSig may help, so sign again and try once before a hold. */
  readonly signAnew?: true;
  /** Class throttle: whether the rate of this command or of all commands was exceeded. */
  readonly throttles?: 'command' | 'all';
  /** The profile is refused and not the account. An import without the profile passes. */
  readonly profileFault?: true;
  /** Class account: the same account may be imported after this many months. */
  readonly notBeforeMonths?: number;
  /** True if the service timed out inside, so that the call may still take effect. */
  readonly mayStillHappen?: true;
}

const PUBLIC = 'API reference, error codes (public, 60000 to 79999)';
const PROFILE = 'API reference, error codes (profile)';
const IMPORT = 'API reference, account_import and multiaccount_import, 2025-04';
const REGISTER = 'API reference, register_account_v1';

type Codes = readonly number[];
type More = Partial<VerdictRow>;

function row(verdict: VerdictClass, codes: Codes, meaning: string, more: More = {}): VerdictRow {
  return { codes, class: verdict, meaning, source: PUBLIC, ...more };
}

function app(holdKind: HoldKind, codes: Codes, meaning: string, more: More = {}): VerdictRow {
  return row('app', codes, meaning, { holdKind, ...more });
}

function timedOut(codes: Codes, meaning: string, more: More = {}): VerdictRow {
  return row('retry', codes, meaning, { mayStillHappen: true, ...more });
}

function profileFault(codes: Codes, meaning: string, source: string): VerdictRow {
  return row('body', codes, meaning, { profileFault: true, source });
}

/** Codes that mean the same for every command. */
const PUBLIC_ROWS: readonly VerdictRow[] = [
  row('done', [0], 'success', { source: IMPORT }),
  app('configuration', [60002, 60009], 'the URL or the resource is wrong'),
  app('configuration', [60012], 'the SDKAppID is missing'),
  row('body', [60003], 'the body is not the JSON it should be'),
  row('body', [60004, 60005], 'an account or signature field is wrong'),
  app('configuration', [60006], 'the SDKAppID is invalid'),
  row('throttle', [60007], "this command's rate was exceeded", { throttles: 'command' }),
  timedOut([60008], 'the service timed out, or the HTTP request was malformed'),
  app('permission', [60010], 'only the app admin may do this'),
  row('throttle', [60011, 60018, 60019], "the app's rate was exceeded", { throttles: 'all' }),
  timedOut([60013, 60014], 'the service had no answer from its own parts in time'),
  row('body', [60015], 'an account in the body is not a string'),
  app('disabled', [60016], 'the app is disabled'),
  app('disabled', [60017], 'this request is disabled for the app'),
  app('disabled', [60020], "the app's plan has expired"),
  app('permission', [60021], 'calls from this IP address are not allowed'),
  app(
    'credentials',
    [70001, 70052],
    'the UserSig has expired or is no longer valid, or the clock here is wrong',
    { signAnew: true },
  ),
  app('credentials', [70002, 70003, 70005], 'the UserSig is empty or cannot be read'),
  app('credentials', [70009], 'the UserSig was made with another key'),
  app('credentials', [70013], 'the UserSig was made for another user than the admin'),
  app('credentials', [70014], 'the UserSig was made for another SDKAppID'),
  app('region', [70016, 70020], 'the key or the SDKAppID is not known here: often the wrong region'),
  app('credentials', [70017], 'the UserSig was revoked'),
  app('permission', [70051], 'the admin account is on the blacklist'),
  app('permission', [70114], 'the UserSig is restricted'),
  app('credentials', [70050], 'a bad UserSig came too often: at least a minute of quiet is wanted', {
    minProbeGapMs: 60_000,
  }),
  timedOut([70169, 70202], 'the service timed out inside', { source: IMPORT }),
  row('body', [70206], 'no account in the call, or more than 100'),
  app('quota', [70398], "the plan's number of accounts is reached", { source: IMPORT }),
  row('account', [70399], 'the account was deleted less than three months ago', {
    notBeforeMonths: 3,
    source: IMPORT,
  }),
  row('body', [70402], 'a parameter is invalid', { source: IMPORT }),
  app('permission', [70403], "the app admin's permission is needed", { source: IMPORT }),
  row('retry', [70500], 'internal error of the service', { source: IMPORT }),
];

/** Codes of the calls that carry a profile. */
const PROFILE_ROWS: readonly VerdictRow[] = [
  profileFault([40005], 'a profile field holds a sensitive word', IMPORT),
  row('retry', [40006], 'internal error of the service while it set the profile', { source: IMPORT }),
  profileFault([40601], 'a profile field is longer than 500 bytes', IMPORT),
  profileFault([40605], 'a standard profile field has a wrong value', PROFILE),
  profileFault([40610], 'a profile field has the wrong type', PROFILE),
  profileFault([80001], 'the text check refused a profile field', PROFILE),
];

/** Codes of register_account_v1. Its 70402 means the opposite of that of the other commands. */
const REGISTER_ROWS: readonly VerdictRow[] = [
  row('done', [70402], 'this account already exists', { source: REGISTER }),
  timedOut([70405], 'failed for the moment, a network time-out for instance', { source: REGISTER }),
  app('configuration', [70411], 'the SDKAppID is invalid', { source: REGISTER }),
  row('body', [70418], 'the body is malformed or lacks a field', { source: REGISTER }),
  row('account', [70419], 'the identifier must have 4 to 24 characters', { source: REGISTER }),
  row('account', [70421], 'the identifier does not fit its type', { source: REGISTER }),
  app('permission', [70425], 'only the app admin may do this', { source: REGISTER }),
];

/** The table of each command. The later one of two rows for a code counts. */
export const VERDICT_TABLES: Readonly<Record<CommandName, readonly VerdictRow[]>> = {
  multiaccount_import: [...PUBLIC_ROWS, ...PROFILE_ROWS],
  account_import: [...PUBLIC_ROWS, ...PROFILE_ROWS],
  account_check: PUBLIC_ROWS,
  account_delete: PUBLIC_ROWS,
  register_account_v1: [...PUBLIC_ROWS, ...REGISTER_ROWS],
};
