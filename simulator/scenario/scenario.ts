import { isCommandName } from '../commands.ts';
import {
  choiceAt,
  fieldsAt,
  flagAt,
  InvalidInput,
  latencyAt,
  listAt,
  numberAt,
  type Readers,
  textAt,
  textsAt,
  wholeNumberAt,
} from './input.ts';
import { type RuleAction, readAction } from './rule-action.ts';

/** What a bad account does to its batch. The documents do not say, so both are possible. */
export type BatchPolicy = 'fail-call' | 'fail-accounts';

/** One policy for all error codes, or one for each with a default. */
type BatchPolicies =
  | BatchPolicy
  | { readonly default: BatchPolicy; readonly byCode: Readonly<Record<string, BatchPolicy>> };

/** Behaviour that the options set. A scenario may override it while it is in force. */
export interface Settings {
  /** [min, max] latency of every answer, evenly distributed, counted from the arrival. */
  readonly latencyMs: readonly [number, number];
  /** When a call takes effect. With `at-answer`, calls can overtake each other. */
  readonly workAt: 'at-answer' | 'at-arrival';
  readonly badAccountsInBatch: BatchPolicies;
  /** The form of an empty FailAccounts in the answer of a batch. `rotating` uses the three in turn. */
  readonly emptyFailAccounts: 'empty' | 'missing' | 'null' | 'rotating';
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

/**
 * Faults, and settings that apply while the scenario is in force.
 * A setting that it does not name has its value from the start of the simulator.
 */
export interface Scenario extends Partial<Settings> {
  readonly rules?: readonly Rule[];
}

export interface Rule {
  /** Decides with the seed which accounts a sticky rule hits. The default is the rule's index. */
  readonly name?: string;
  readonly match?: RuleMatch;
  readonly action: RuleAction;
}

/** All conditions must be met. A rule without conditions matches every call and every account in it. */
export interface RuleMatch {
  readonly command?: string | readonly string[];
  /** Accounts by ID. */
  readonly userIds?: readonly string[];
  /** Accounts by a regular expression: its source, at most 200 characters. */
  readonly userIdPattern?: string;
  /** Probability for each call, 0 to 1. */
  readonly rate?: number;
  /** Probability for each account, 0 to 1. */
  readonly ratePerAccount?: number;
  /** Seed, rule name and account decide ratePerAccount: the same account always has the same result. */
  readonly sticky?: boolean;
  /** The rule applies from this moment on, in milliseconds since the scenario was set. */
  readonly fromMs?: number;
  /** The rule applies before this moment, in milliseconds since the scenario was set. */
  readonly untilMs?: number;
  /** The rule hits at most this many calls. */
  readonly times?: number;
  /** The rule hits each account at most this many times. */
  readonly timesPerAccount?: number;
}

export const POLICIES: readonly BatchPolicy[] = ['fail-call', 'fail-accounts'];
const MAX_RULES = 200;
const MAX_PATTERN_CHARS = 200;

export const SETTING_READERS: Readers<Settings> = {
  latencyMs: latencyAt,
  workAt: (value, at) => choiceAt(value, at, ['at-answer', 'at-arrival']),
  badAccountsInBatch: policiesAt,
  emptyFailAccounts: (value, at) => choiceAt(value, at, ['empty', 'missing', 'null', 'rotating']),
  maxAccounts: (value, at) => (value === null ? null : wholeNumberAt(value, at, 0, 1e9)),
  sensitiveWords: (value, at) => textsAt(value, at, 1000, 100),
};

const MATCH_READERS: Readers<RuleMatch> = {
  command: commandsAt,
  userIds: (value, at) => textsAt(value, at, 100_000, 256),
  userIdPattern: patternAt,
  rate: (value, at) => numberAt(value, at, 0, 1),
  ratePerAccount: (value, at) => numberAt(value, at, 0, 1),
  sticky: flagAt,
  fromMs: (value, at) => numberAt(value, at, 0, Number.MAX_SAFE_INTEGER),
  untilMs: (value, at) => numberAt(value, at, 0, Number.MAX_SAFE_INTEGER),
  times: (value, at) => wholeNumberAt(value, at, 1, 1e9),
  timesPerAccount: (value, at) => wholeNumberAt(value, at, 1, 1e9),
};

/** Reads a scenario from parsed JSON. Throws InvalidInput with a sentence that names the place. */
export function readScenario(value: unknown): Scenario {
  return fieldsAt<Scenario>(value, 'scenario', {
    ...SETTING_READERS,
    rules: (list) => listAt(list, 'rules', MAX_RULES).map((rule, i) => ruleAt(rule, `rules[${i}]`)),
  });
}

/** Returns what an account that is refused with `code` does to its batch. */
export function policyFor(policies: BatchPolicies, code: number): BatchPolicy {
  return typeof policies === 'string' ? policies : (policies.byCode[code] ?? policies.default);
}

function ruleAt(value: unknown, place: string): Rule {
  const rule = fieldsAt<Rule>(value, place, {
    name: (given, at) => textAt(given, at, 100),
    match: matchAt,
    action: readAction,
  });
  return { ...rule, action: rule.action ?? readAction(undefined, `${place}.action`) };
}

function matchAt(value: unknown, place: string): RuleMatch {
  const match = fieldsAt(value, place, MATCH_READERS);
  if (match.sticky === true && match.ratePerAccount === undefined) {
    throw new InvalidInput(`${place}.sticky needs ${place}.ratePerAccount.`);
  }
  if (match.untilMs !== undefined && match.untilMs <= (match.fromMs ?? 0)) {
    throw new InvalidInput(`${place}.untilMs must be above ${place}.fromMs.`);
  }
  return match;
}

function commandsAt(value: unknown, place: string): string | readonly string[] {
  const names = typeof value === 'string' ? value : textsAt(value, place, 100, 100);
  const unknown = [names].flat().find((name) => !isCommandName(name));
  if (unknown !== undefined) {
    throw new InvalidInput(`${place} has the unknown command ${JSON.stringify(unknown)}.`);
  }
  return names;
}

function patternAt(value: unknown, place: string): string {
  const source = textAt(value, place, MAX_PATTERN_CHARS);
  try {
    new RegExp(source, 'u');
  } catch {
    throw new InvalidInput(`${place} is not a valid regular expression.`);
  }
  return source;
}

function policiesAt(value: unknown, place: string): BatchPolicies {
  const policyAt = (policy: unknown, at: string) => choiceAt(policy, at, POLICIES);
  if (typeof value === 'string') return policyAt(value, place);
  const { byCode, ...rest } = fieldsAt<{ default?: unknown; byCode?: unknown }>(value, place, {
    default: (given) => given,
    byCode: (given) => given,
  });
  if (typeof byCode !== 'object' || byCode === null) {
    throw new InvalidInput(`${place}.byCode must be an object of error codes.`);
  }
  const policies = Object.entries(byCode).map(([code, policy]) => {
    if (!/^\d+$/.test(code)) {
      throw new InvalidInput(`${place}.byCode has ${JSON.stringify(code)}, which is no error code.`);
    }
    return [code, policyAt(policy, `${place}.byCode.${code}`)] as const;
  });
  return { default: policyAt(rest.default, `${place}.default`), byCode: Object.fromEntries(policies) };
}
