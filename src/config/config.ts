/**
 * The configuration as the rest of the program sees it. It is read once, complete and deep-frozen.
 *
 * Names carry units (`…Ms`). An optional text that was not given is `''`; an optional number is `null`.
 */

/** Ways to reach Redis. */
export const redisModes = ['standalone', 'cluster', 'sentinel'] as const;
export type RedisMode = (typeof redisModes)[number];

/** Regions of an app. Each SDKAppID belongs to one, and each region has its own API hosts. */
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

/** Forms of the import calls. Their field names and limits differ. */
export const apiForms = ['current', 'legacy', 'hosted'] as const;
export type ApiForm = (typeof apiForms)[number];

/** API commands that have a quota of their own. */
export const quotaCommands = [
  'multiaccount_import',
  'account_import',
  'account_check',
  'account_delete',
  'register_account_v1',
] as const;
export type QuotaCommand = (typeof quotaCommands)[number];

/** Classes that an operator can declare an error code to have (`verdicts` in a file). */
export const verdictClasses = ['retry', 'account', 'body', 'app', 'throttle'] as const;
export type VerdictClass = (typeof verdictClasses)[number];

/** How a user is handled whose nick or picture the API refuses. */
export const profileFaultPolicies = ['import-bare', 'dead-letter'] as const;
export type ProfileFaultPolicy = (typeof profileFaultPolicies)[number];

/** Which outcomes are published: those of events with `replyTo`, or all of them. */
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
    /** `''` means the host of `region`. It never ends in a slash. */
    readonly baseUrl: string;
    readonly callTimeoutMs: number;
  };
  readonly batch: {
    /** Most users in one call, 1 to 100. */
    readonly maxSize: number;
    readonly maxWaitMs: number;
    /** The system counts as quiet while it uses less than this share of the quota, 0 to 1. */
    readonly eagerShare: number;
  };
  readonly quota: {
    /** Calls per second. A command that is missing here has the documented quota of the API form. */
    readonly perSecond: Readonly<Partial<Record<QuotaCommand, number>>>;
    readonly share: number;
    readonly margin: number;
  };
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly maxAgeMs: number };
  readonly shutdownTimeoutMs: number;
  readonly onProfileFault: ProfileFaultPolicy;
  /** Port 0 means any free port. */
  readonly ops: { readonly host: string; readonly port: number };
  /** Port `null` means no HTTP intake; 0 means any free port. */
  readonly intake: {
    readonly host: string;
    readonly port: number | null;
    readonly tokens: readonly string[];
    readonly tokensFile: string;
  };
  readonly outcomes: OutcomePolicy;
  readonly log: { readonly level: LogLevel };
  /** Overrides of the verdict tables, from error code to class. Only files can set them. */
  readonly verdicts: Readonly<Record<string, VerdictClass>>;
}

/** The configuration before the quotas that were not set are left out. */
export type FullConfig = Omit<Config, 'quota'> & {
  readonly quota: Omit<Config['quota'], 'perSecond'> & {
    readonly perSecond: Readonly<Record<QuotaCommand, number | null>>;
  };
};

/** Reads a text file and throws Node's errors. It is passed as an argument, so that tests need no disk. */
export type ReadFile = (path: string) => string;

/**
 * The configuration cannot be used. `problems` holds one full sentence for each thing that is wrong, free of
 * secrets. A verb prints them to standard error and exits with 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Throws a {@link ConfigError} if there are problems. */
export function refuseOn(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
