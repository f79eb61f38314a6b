import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { AppIdentity } from './http/user-sig.ts';
import { type Fields, InvalidInput, textAt, wholeNumberAt } from './scenario/input.ts';
import { readScenario, type Scenario } from './scenario/scenario.ts';
import { DEFAULT_SETTINGS, readSettings, type Settings } from './scenario/settings.ts';
import { documentedQuotas, type Quotas, readQuotas } from './traffic/quotas.ts';

/** Options of a simulator. Only the app and its key are required. */
export interface SimulatorOptions extends Partial<Settings> {
  readonly sdkAppId: number;
  readonly secretKey: string;
  /** Default `administrator`. */
  readonly adminId?: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, which takes any free port. */
  readonly port?: number;
  /** Authorises changes over /_sim/. The default is a random token. */
  readonly controlToken?: string;
  /** Seed of latencies and faults; default 1. */
  readonly seed?: number;
  readonly scenario?: Scenario;
  /** Quotas that replace the documented ones, by command. */
  readonly quotas?: Quotas;
  /** The form whose documented quota account_import has: 200 (current, default) or 100 (legacy). */
  readonly accountImportForm?: 'current' | 'legacy';
  /** Refused calls count in the quota's window too; default false. */
  readonly refusedCallsCount?: boolean;
  /** Refuse IDs with other than printable ASCII; default true. */
  readonly asciiIdsOnly?: boolean;
  /** How many calls are kept for GET /_sim/calls; default 200,000. */
  readonly callLogSize?: number;
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** How long an idle connection is kept; default 75,000. */
  readonly keepAliveMs?: number;
  /** Milliseconds since 1970 with a fraction, never going back. Default: the process's monotonic clock. */
  readonly nowMs?: () => number;
}

export interface ResolvedOptions {
  readonly app: AppIdentity;
  readonly host: string;
  readonly port: number;
  readonly controlToken: string;
  readonly seed: number;
  readonly settings: Settings;
  readonly scenario: Scenario;
  readonly quotas: Required<Quotas>;
  readonly refusedCallsCount: boolean;
  readonly asciiIdsOnly: boolean;
  readonly callLogSize: number;
  readonly maxBodyBytes: number;
  readonly keepAliveMs: number;
  readonly nowMs: () => number;
}

/** Checks options and fills in the defaults. Throws InvalidInput. */
export function resolveOptions(options: SimulatorOptions): ResolvedOptions {
  const app = {
    sdkAppId: wholeNumberAt(options.sdkAppId, 'sdkAppId', 1, 4294967295),
    adminId: textAt(options.adminId ?? 'administrator', 'adminId', 32),
    secretKey: textAt(options.secretKey, 'secretKey', 1000),
  };
  const settings = { ...DEFAULT_SETTINGS, ...readSettings(options as unknown as Fields, 'options') };
  const documented = documentedQuotas(options.accountImportForm ?? 'current');
  return {
    app,
    host: textAt(options.host ?? '127.0.0.1', 'host', 255),
    port: wholeNumberAt(options.port ?? 0, 'port', 0, 65535),
    controlToken: readToken(options.controlToken),
    seed: wholeNumberAt(options.seed ?? 1, 'seed', 0, 4294967295),
    settings,
    scenario: readScenario(options.scenario ?? {}),
    quotas: { ...documented, ...readQuotas(options.quotas ?? {}, 'quotas') },
    refusedCallsCount: options.refusedCallsCount ?? false,
    asciiIdsOnly: options.asciiIdsOnly ?? true,
    callLogSize: wholeNumberAt(options.callLogSize ?? 200_000, 'callLogSize', 0, 10_000_000),
    maxBodyBytes: wholeNumberAt(options.maxBodyBytes ?? 1_048_576, 'maxBodyBytes', 1, 1e9),
    keepAliveMs: wholeNumberAt(options.keepAliveMs ?? 75_000, 'keepAliveMs', 1, 86_400_000),
    nowMs: options.nowMs ?? (() => performance.timeOrigin + performance.now()),
  };
}

/** The default does not come from the seeded generator: the seed is no secret, the token is. */
function readToken(given: string | undefined): string {
  if (given === undefined) return randomBytes(24).toString('base64url');
  if (!/^[\x21-\x7e]{8,200}$/.test(given)) {
    throw new InvalidInput('controlToken must be 8 to 200 printable characters without spaces.');
  }
  return given;
}
