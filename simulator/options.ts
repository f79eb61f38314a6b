import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { AppIdentity } from './http/request-url.ts';
import { InvalidInput, someFieldsAt, textAt, wholeNumberAt } from './scenario/input.ts';
import {
  DEFAULT_SETTINGS,
  readScenario,
  type Scenario,
  SETTING_READERS,
  type Settings,
} from './scenario/scenario.ts';
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
  /** How many calls are kept for GET /_sim/calls; default 200,000. */
  readonly callLogSize?: number;
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Milliseconds since 1970 with a fraction, never going back. Default: the process's monotonic clock. */
  readonly nowMs?: () => number;
}

export type ResolvedOptions = ReturnType<typeof resolveOptions>;

/** Checks options and fills in the defaults. Throws InvalidInput. */
export function resolveOptions(options: SimulatorOptions) {
  const app: AppIdentity = {
    sdkAppId: wholeNumberAt(options.sdkAppId, 'sdkAppId', 1, 4294967295),
    adminId: textAt(options.adminId ?? 'administrator', 'adminId', 32),
    secretKey: textAt(options.secretKey, 'secretKey', 1000),
  };
  const settings: Settings = {
    ...DEFAULT_SETTINGS,
    ...someFieldsAt<Settings>({ ...options }, 'options', SETTING_READERS),
  };
  return {
    app,
    host: textAt(options.host ?? '127.0.0.1', 'host', 255),
    port: wholeNumberAt(options.port ?? 0, 'port', 0, 65535),
    controlToken: readToken(options.controlToken),
    seed: wholeNumberAt(options.seed ?? 1, 'seed', 0, 4294967295),
    settings,
    scenario: readScenario(options.scenario ?? {}),
    quotas: {
      ...documentedQuotas(options.accountImportForm ?? 'current'),
      ...readQuotas(options.quotas ?? {}, 'quotas'),
    },
    callLogSize: wholeNumberAt(options.callLogSize ?? 200_000, 'callLogSize', 0, 10_000_000),
    maxBodyBytes: wholeNumberAt(options.maxBodyBytes ?? 1_048_576, 'maxBodyBytes', 1, 1e9),
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
