/**
 * The configuration as the rest of the program sees it: read once, deep-frozen, complete.
 *
 * Units stand in the names (`…Ms`). An optional text that was not given is `''`, an optional number `null`.
 */

/** Ways to reach Redis. */
export const redisModes = ['standalone', 'cluster', 'sentinel'] as const;
export type RedisMode = (typeof redisModes)[number];

/** Homes of an app (of its SDKAppID); the API's hosts belong to them. */
export const regionNames = [
  'china',
  'singapore',
  'seoul',
  'tokyo',
  'frankfurt',
  'silicon-valley',
  'jakarta',
  'mumbai',
] as const;
export type RegionName = (typeof regionNames)[number];

/** Forms of the import calls: field names and limits differ. */
export const apiForms = ['current', 'legacy', 'hosted'] as const;
export type ApiForm = (typeof apiForms)[number];

/** Commands of the API that have a quota of their own. */
export const quotaCommands = [
  'multiaccount_import',
  'account_import',
  'account_check',
  'account_delete',
  'register_account_v1',
] as const;
export type QuotaCommand = (typeof quotaCommands)[number];

/** What an error code can be declared to mean (`verdicts` in a file). */
export const verdictClasses = ['retry', 'account', 'body', 'app', 'throttle'] as const;
export type VerdictClass = (typeof verdictClasses)[number];

/** What becomes of a user whose nick or picture the API refuses. */
export const profileFaultPolicies = ['import-bare', 'dead-letter'] as const;
export type ProfileFaultPolicy = (typeof profileFaultPolicies)[number];

/** Whose outcomes are published: those that asked by `replyTo`, or all of them. */
export const outcomePolicies = ['reply-to', 'all'] as const;
export type OutcomePolicy = (typeof outcomePolicies)[number];

/** pino's levels. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One address of a cluster node or a sentinel; IPv6 without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface Config {
  readonly redis: {
    readonly url: string;
    readonly mode: RedisMode;
    readonly nodes: readonly HostPort[];
    readonly sentinelName: string;
    readonly password: string;
    readonly passwordFile: string;
    readonly caFile: string;
    readonly allowVolatile: boolean;
  };
  /** `sdkAppId` is 0 when it was not given. */
  readonly app: { readonly sdkAppId: number; readonly adminId: string };
  readonly credentials: {
    readonly secretKey: string;
    readonly secretKeyFile: string;
    readonly userSig: string;
    readonly userSigFile: string;
  };
  readonly api: {
    readonly form: ApiForm;
    readonly region: RegionName;
    /** `''`: the host of `region`. Never ends in a slash. */
    readonly baseUrl: string;
    readonly callTimeoutMs: number;
  };
  readonly batch: {
    /** Users in a call, 1 to 100. */
    readonly maxSize: number;
    readonly maxWaitMs: number;
    /** Share of the quota below which the system counts as quiet, 0 to 1. */
    readonly eagerShare: number;
  };
  readonly quota: {
    /** Calls a second; only those set, the others follow the API form. */
    readonly perSecond: Readonly<Partial<Record<QuotaCommand, number>>>;
    readonly share: number;
    readonly margin: number;
  };
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly shutdownTimeoutMs: number;
  readonly onProfileFault: ProfileFaultPolicy;
  /** Port 0 is any free one. */
  readonly ops: { readonly host: string; readonly port: number };
  /** Port `null` is no HTTP intake, 0 any free one. */
  readonly intake: {
    readonly host: string;
    readonly port: number | null;
    readonly tokens: readonly string[];
    readonly tokensFile: string;
  };
  readonly outcomes: OutcomePolicy;
  readonly log: { readonly level: LogLevel };
  /** Overrides of the verdict tables, error code to class; from files only. */
  readonly verdicts: Readonly<Record<string, VerdictClass>>;
}
