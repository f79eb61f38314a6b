import type { AccountItem } from '../accounts/account-store.ts';
import { stickyFraction } from '../randomness.ts';
import { type AccountFault, accountFaultOf, type CallFault, callFaultOf } from './rule-action.ts';
import type { Rule } from './scenario.ts';

/** The faults of one call. */
export interface FaultPlan {
  readonly callFault: CallFault | undefined;
  readonly latencyMs: readonly [number, number] | undefined;
  /** By user ID; undefined if no account is hit. */
  readonly accountFaults: ReadonlyMap<string, AccountFault> | undefined;
  readonly strangers: readonly string[];
}

export const NO_FAULTS: FaultPlan = {
  callFault: undefined,
  latencyMs: undefined,
  accountFaults: undefined,
  strangers: [],
};

/**
 * Selects the faults of each call from a scenario's rules.
 *
 * Rules are checked in their order. The first rule that hits decides how the whole call ends.
 * The first one that hits an account decides that account. The first one with latencyMs decides the latency.
 * A rule that has nothing left to decide is skipped: it draws no random number and counts no use.
 * A rule for whole calls that names accounts (userIds, userIdPattern, ratePerAccount) hits a call in which
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
    let callFault: CallFault | undefined;
    let latencyMs: readonly [number, number] | undefined;
    let strangers: readonly string[] = [];
    const accounts = new Map<string, AccountFault>();

    for (const rule of this.#rules) {
      const wanted =
        (rule.callFault !== undefined && callFault === undefined) ||
        (rule.latencyMs !== undefined && latencyMs === undefined) ||
        rule.accountFault !== undefined ||
        rule.strangers.length > 0;
      if (!wanted || !rule.matchesCall(command, nowMs - this.#sinceMs, this.#random)) continue;

      const skip = rule.accountFault === undefined ? undefined : accounts;
      const hit = rule.matchingAccounts(items, skip, this.#random);
      if ((rule.namesAccounts || rule.accountFault !== undefined) && hit.length === 0) continue;
      rule.countUse(hit);
      callFault ??= rule.callFault;
      latencyMs ??= rule.latencyMs;
      if (rule.accountFault !== undefined) {
        for (const userId of hit) accounts.set(userId, rule.accountFault);
      }
      if (rule.strangers.length > 0) strangers = [...strangers, ...rule.strangers];
    }
    const accountFaults = accounts.size === 0 ? undefined : accounts;
    return { callFault, latencyMs, accountFaults, strangers };
  }
}

/** A rule with a compiled pattern and a counter of its uses. */
class CompiledRule {
  readonly callFault: CallFault | undefined;
  readonly accountFault: AccountFault | undefined;
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
    this.callFault = callFaultOf(rule.action);
    this.accountFault = accountFaultOf(rule.action);
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

  /** Checks the conditions that concern no accounts. Draws the random number of the call last. */
  matchesCall(command: string, sinceMs: number, random: () => number): boolean {
    const { times, fromMs, untilMs, rate } = this.#match;
    if (times !== undefined && this.#uses >= times) return false;
    if (this.#commands !== undefined && !this.#commands.has(command)) return false;
    if (fromMs !== undefined && sinceMs < fromMs) return false;
    if (untilMs !== undefined && sinceMs >= untilMs) return false;
    return rate === undefined || random() < rate;
  }

  /** Returns the IDs of the accounts that match, each once. Accounts in `skip` are decided already. */
  matchingAccounts(
    items: readonly AccountItem[],
    skip: ReadonlyMap<string, unknown> | undefined,
    random: () => number,
  ): readonly string[] {
    if (!this.namesAccounts && this.accountFault === undefined) return [];
    const hit = new Set<string>();
    for (const { userId } of items) {
      if (skip?.has(userId) || hit.has(userId)) continue;
      if (this.#matchesAccount(userId, random)) hit.add(userId);
    }
    return [...hit];
  }

  countUse(hit: readonly string[]): void {
    this.#uses += 1;
    if (this.#match.timesPerAccount === undefined) return;
    for (const userId of hit) this.#usesByAccount.set(userId, (this.#usesByAccount.get(userId) ?? 0) + 1);
  }

  #matchesAccount(userId: string, random: () => number): boolean {
    const { ratePerAccount, sticky, timesPerAccount } = this.#match;
    if (this.#userIds !== undefined && !this.#userIds.has(userId)) return false;
    // No account has an ID this long. The limit keeps a slow pattern from running over a megabyte.
    if (this.#pattern !== undefined && (userId.length > 256 || !this.#pattern.test(userId))) return false;
    if (timesPerAccount !== undefined && (this.#usesByAccount.get(userId) ?? 0) >= timesPerAccount)
      return false;
    if (ratePerAccount === undefined) return true;
    const drawn = sticky ? stickyFraction(this.#seed, this.#name, userId) : random();
    return drawn < ratePerAccount;
  }
}
