import { choiceAt, type Fields, InvalidInput, latencyAt, objectAt, textsAt, wholeNumberAt } from './input.ts';

/** What a bad account does to its batch. The documents do not say, so both are possible. */
export type BatchPolicy = 'fail-call' | 'fail-accounts';

/** One policy for all error codes, or one for each with a default. */
export type BatchPolicies =
  | BatchPolicy
  | { readonly default: BatchPolicy; readonly byCode: Readonly<Record<string, BatchPolicy>> };

/** The form of an empty FailAccounts in the answer of a batch. `rotating` uses the three in turn. */
export type EmptyFailAccounts = 'empty' | 'missing' | 'null' | 'rotating';

/** When a call takes effect. With `at-answer`, calls can overtake each other. */
export type WorkAt = 'at-answer' | 'at-arrival';

/** Behaviour that the options set. A scenario may override it while it is in force. */
export interface Settings {
  /** [min, max] latency of every answer, evenly distributed, counted from the arrival. */
  readonly latencyMs: readonly [number, number];
  readonly workAt: WorkAt;
  readonly badAccountsInBatch: BatchPolicies;
  readonly emptyFailAccounts: EmptyFailAccounts;
  /** The number of accounts that the plan allows; null means no limit. */
  readonly maxAccounts: number | null;
  readonly sensitiveWords: readonly string[];
}

export const DEFAULT_SETTINGS: Settings = {
  latencyMs: [0, 0],
  workAt: 'at-answer',
  badAccountsInBatch: 'fail-accounts',
  emptyFailAccounts: 'empty',
  maxAccounts: null,
  sensitiveWords: [],
};

export const SETTING_NAMES = Object.keys(DEFAULT_SETTINGS) as readonly (keyof Settings)[];

export const POLICIES: readonly BatchPolicy[] = ['fail-call', 'fail-accounts'];
const EMPTY_SHAPES: readonly EmptyFailAccounts[] = ['empty', 'missing', 'null', 'rotating'];
const WORK_TIMES: readonly WorkAt[] = ['at-answer', 'at-arrival'];

/** Reads and checks the settings named in `fields`. The others are absent. Throws InvalidInput. */
export function readSettings(fields: Fields, place: string): Partial<Settings> {
  const readers: { [K in keyof Settings]: (value: unknown, at: string) => Settings[K] } = {
    latencyMs: latencyAt,
    workAt: (value, at) => choiceAt(value, at, WORK_TIMES),
    badAccountsInBatch: readPolicies,
    emptyFailAccounts: (value, at) => choiceAt(value, at, EMPTY_SHAPES),
    maxAccounts: (value, at) => (value === null ? null : wholeNumberAt(value, at, 0, 1e9)),
    sensitiveWords: (value, at) => textsAt(value, at, 1000, 100),
  };
  const found: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    if (fields[name] !== undefined) found[name] = readers[name](fields[name], `${place}.${name}`);
  }
  return found as Partial<Settings>;
}

/** Returns what an account that is refused with `code` does to its batch. */
export function policyFor(policies: BatchPolicies, code: number): BatchPolicy {
  return typeof policies === 'string' ? policies : (policies.byCode[code] ?? policies.default);
}

function readPolicies(value: unknown, place: string): BatchPolicies {
  if (typeof value === 'string') return choiceAt(value, place, POLICIES);
  const fields = objectAt(value, place, ['default', 'byCode']);
  const byCode = fields.byCode;
  if (typeof byCode !== 'object' || byCode === null) {
    throw new InvalidInput(`${place}.byCode must be an object of error codes.`);
  }
  const policies = Object.entries(byCode).map(([code, policy]) => {
    if (!/^\d+$/.test(code))
      throw new InvalidInput(`${place}.byCode has ${JSON.stringify(code)}, which is no error code.`);
    return [code, choiceAt(policy, `${place}.byCode.${code}`, POLICIES)] as const;
  });
  return {
    default: choiceAt(fields.default, `${place}.default`, POLICIES),
    byCode: Object.fromEntries(policies),
  };
}
