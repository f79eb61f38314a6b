import type { AccountItem } from '../accounts/account-item.ts';
import { stickyFraction } from '../randomness.ts';
import { type AccountFault, accountFault, type WholeCallFault, wholeCallFault } from './rule-action.ts';
import type { Rule } from './scenario.ts';

/** What the scenario has in store for one call. */
export interface FaultPlan {
  readonly whole: WholeCallFault | undefined;
  readonly latencyMs: readonly [number, number] | undefined;
  /** By userId; undefined when no account is hit. */
  readonly accounts: ReadonlyMap<string, AccountFault> | undefined;
  readonly strangers: readonly string[];
}

export const NO_FAULTS: FaultPlan = {
  whole: undefined,
  latencyMs: undefined,
  accounts: undefined,
  strangers: [],
};

/**
 * Picks the faults of each call from a scenario's rules.
 *
 * Rules are asked in their order. The first rule that hits decides how the whole call ends, the first
 * one that hits an account decides that account, the first with latencyMs decides the latency. A rule
 * that has nothing left to decide is not asked: it draws no lot and uses up none of its `times`.
 * A whole-call rule that names accounts (userIds, userIdPattern, ratePerAccount) hits a call in which
 * at least one account matches.
 */
export class FaultSelector {
  readonly #rules: readonly CompiledRule[];
  readonly #sinceMs: number;
  readonly #random: () => number;

  constructor(rules: readonly Rule[], seed: number, random: () => number, sinceMs: number) {
    this.#rules = rules.map((rule, index) => new CompiledRule(rule, index, seed));
    this.#sinceMs = sinceMs;
    this.#random = random;
  }

  select(command: string, items: readonly AccountItem[], nowMs: number): FaultPlan {
    if (this.#rules.length === 0) return NO_FAULTS;
    let whole: WholeCallFault | undefined;
    let latencyMs: readonly [number, number] | undefined;
    let strangers: readonly string[] = [];
    const accounts = new Map<string, AccountFault>();

    for (const rule of this.#rules) {
      const wanted =
        (rule.whole !== undefined && whole === undefined) ||
        (rule.latencyMs !== undefined && latencyMs === undefined) ||
        rule.account !== undefined ||
        rule.strangers.length > 0;
      if (!wanted || !rule.mayHit(command, nowMs - this.#sinceMs, this.#random)) continue;

      const skip = rule.account === undefined ? undefined : accounts;
      const hit = rule.pickAccounts(items, skip, this.#random);
      if ((rule.namesAccounts || rule.account !== undefined) && hit.length === 0) continue;
      rule.countUse(hit);
      whole ??= rule.whole;
      latencyMs ??= rule.latencyMs;
      if (rule.account !== undefined) {
        for (const userId of hit) accounts.set(userId, rule.account);
      }
      if (rule.strangers.length > 0) strangers = [...strangers, ...rule.strangers];
    }
    return { whole, latencyMs, accounts: accounts.size === 0 ? undefined : accounts, strangers };
  }
}

/** A rule with its pattern compiled and its uses counted. */
class CompiledRule {
  readonly whole: WholeCallFault | undefined;
  readonly account: AccountFault | undefined;
  readonly latencyMs: readonly [number, number] | undefined;
  readonly strangers: readonly string[];
  readonly namesAccounts: boolean;
  readonly #match: NonNullable<Rule['match']>;
  readonly #commands: ReadonlySet<string> | undefined;
  readonly #userIds: ReadonlySet<string> | undefined;
  readonly #pattern: RegExp | undefined;
  readonly #name: string;
  readonly #seed: number;
  #uses = 0;
  readonly #usesByAccount = new Map<string, number>();

  constructor(rule: Rule, index: number, seed: number) {
    const match = rule.match ?? {};
    this.whole = wholeCallFault(rule.action);
    this.account = accountFault(rule.action);
    this.latencyMs = rule.action.latencyMs;
    this.strangers = rule.action.strangers ?? [];
    this.#match = match;
    this.#commands = match.command === undefined ? undefined : new Set([match.command].flat());
    this.#userIds = match.userIds === undefined ? undefined : new Set(match.userIds);
    this.#pattern = match.userIdPattern === undefined ? undefined : new RegExp(match.userIdPattern, 'u');
    this.#name = rule.name ?? String(index);
    this.#seed = seed;
    this.namesAccounts =
      match.userIds !== undefined ||
      match.userIdPattern !== undefined ||
      match.ratePerAccount !== undefined ||
      match.timesPerAccount !== undefined;
  }

  /** The conditions that do not look at accounts, the lot of the call last. */
  mayHit(command: string, sinceMs: number, random: () => number): boolean {
    const { times, fromMs, untilMs, rate } = this.#match;
    if (times !== undefined && this.#uses >= times) return false;
    if (this.#commands !== undefined && !this.#commands.has(command)) return false;
    if (fromMs !== undefined && sinceMs < fromMs) return false;
    if (untilMs !== undefined && sinceMs >= untilMs) return false;
    return rate === undefined || random() < rate;
  }

  /** IDs of the accounts that match, each once; those in `skip` are spoken for. */
  pickAccounts(
    items: readonly AccountItem[],
    skip: ReadonlyMap<string, unknown> | undefined,
    random: () => number,
  ): readonly string[] {
    if (!this.namesAccounts && this.account === undefined) return [];
    const hit = new Set<string>();
    for (const { userId } of items) {
      if (skip?.has(userId) || hit.has(userId)) continue;
      if (this.#hitsAccount(userId, random)) hit.add(userId);
    }
    return [...hit];
  }

  countUse(hit: readonly string[]): void {
    this.#uses += 1;
    if (this.#match.timesPerAccount === undefined) return;
    for (const userId of hit) this.#usesByAccount.set(userId, (this.#usesByAccount.get(userId) ?? 0) + 1);
  }

  #hitsAccount(userId: string, random: () => number): boolean {
    const { ratePerAccount, sticky, timesPerAccount } = this.#match;
    if (this.#userIds !== undefined && !this.#userIds.has(userId)) return false;
    // No account has so long an ID; a pattern must not be let loose on a megabyte.
    if (this.#pattern !== undefined && (userId.length > 256 || !this.#pattern.test(userId))) return false;
    if (timesPerAccount !== undefined && (this.#usesByAccount.get(userId) ?? 0) >= timesPerAccount)
      return false;
    if (ratePerAccount === undefined) return true;
    const lot = sticky ? stickyFraction(this.#seed, this.#name, userId) : random();
    return lot < ratePerAccount;
  }
}
