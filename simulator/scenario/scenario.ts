import { isCommandName } from '../commands.ts';
import {
  type Fields,
  flagAt,
  InvalidInput,
  listAt,
  maybe,
  numberAt,
  objectAt,
  textAt,
  textsAt,
  wholeNumberAt,
} from './input.ts';
import { type RuleAction, readAction } from './rule-action.ts';
import { readSettings, SETTING_NAMES, type Settings } from './settings.ts';

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

const MATCH_KEYS = [
  'command',
  'userIds',
  'userIdPattern',
  'rate',
  'ratePerAccount',
  'sticky',
  'fromMs',
  'untilMs',
  'times',
  'timesPerAccount',
] as const;

const MAX_RULES = 200;
const MAX_PATTERN_CHARS = 200;

/** Reads a scenario from parsed JSON. Throws InvalidInput with a sentence that names the place. */
export function readScenario(value: unknown): Scenario {
  const fields = objectAt(value, 'scenario', [...SETTING_NAMES, 'rules']);
  const rules = maybe(fields.rules, (list) => listAt(list, 'rules', MAX_RULES).map(readRule));
  return { ...readSettings(fields, 'scenario'), ...(rules === undefined ? {} : { rules }) };
}

function readRule(value: unknown, index: number): Rule {
  const place = `rules[${index}]`;
  const fields = objectAt(value, place, ['name', 'match', 'action']);
  const match = maybe(fields.match, (given) => readMatch(given, `${place}.match`));
  const name = maybe(fields.name, (given) => textAt(given, `${place}.name`, 100));
  const action = readAction(fields.action, `${place}.action`);
  return { ...(name === undefined ? {} : { name }), ...(match === undefined ? {} : { match }), action };
}

function readMatch(value: unknown, place: string): RuleMatch {
  const fields = objectAt(value, place, MATCH_KEYS);
  const readers: { readonly [K in (typeof MATCH_KEYS)[number]]: (given: unknown, at: string) => unknown } = {
    command: readCommands,
    userIds: (given, at) => textsAt(given, at, 100_000, 256),
    userIdPattern: readPattern,
    rate: (given, at) => numberAt(given, at, 0, 1),
    ratePerAccount: (given, at) => numberAt(given, at, 0, 1),
    sticky: flagAt,
    fromMs: (given, at) => numberAt(given, at, 0, Number.MAX_SAFE_INTEGER),
    untilMs: (given, at) => numberAt(given, at, 0, Number.MAX_SAFE_INTEGER),
    times: (given, at) => wholeNumberAt(given, at, 1, 1e9),
    timesPerAccount: (given, at) => wholeNumberAt(given, at, 1, 1e9),
  };
  const match: Record<string, unknown> = {};
  for (const key of MATCH_KEYS) {
    if (fields[key] !== undefined) match[key] = readers[key](fields[key], `${place}.${key}`);
  }
  checkTogether(match, place);
  return match;
}

function checkTogether(match: Fields, place: string): void {
  if (match.sticky === true && match.ratePerAccount === undefined) {
    throw new InvalidInput(`${place}.sticky needs ${place}.ratePerAccount.`);
  }
  if (Number(match.untilMs) <= Number(match.fromMs ?? 0)) {
    throw new InvalidInput(`${place}.untilMs must be above ${place}.fromMs.`);
  }
}

function readCommands(value: unknown, place: string): string | readonly string[] {
  const names = typeof value === 'string' ? [value] : textsAt(value, place, 100, 100);
  for (const name of names) {
    if (!isCommandName(name))
      throw new InvalidInput(`${place} has the unknown command ${JSON.stringify(name)}.`);
  }
  return typeof value === 'string' ? value : names;
}

function readPattern(value: unknown, place: string): string {
  const source = textAt(value, place, MAX_PATTERN_CHARS);
  try {
    new RegExp(source, 'u');
  } catch {
    throw new InvalidInput(`${place} is not a valid regular expression.`);
  }
  return source;
}
