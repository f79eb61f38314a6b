import type { CommandName } from '../commands.ts';
import { type Answer, emptyFailAccounts, type ResultItem, refusal } from '../http/answer.ts';
import { errorInfoOf } from '../http/error-info.ts';
import type { FaultPlan } from '../scenario/fault-selector.ts';
import { policyFor, type Settings } from '../scenario/settings.ts';
import type { AccountItem } from './account-item.ts';
import { type AccountRules, judgeAccount, judgeUserId } from './account-rules.ts';
import type { AccountStore } from './account-store.ts';

/**
 * Does the work of the calls on the accounts and says how it ended. No clock, no lots, no I/O.
 */
export class Backend {
  readonly store: AccountStore;
  #settings: Settings;
  #rules: AccountRules;
  #emptyTurn = 0;

  constructor(store: AccountStore, adminId: string, asciiIdsOnly: boolean, settings: Settings) {
    this.store = store;
    this.#settings = settings;
    this.#rules = { adminId, asciiIdsOnly, sensitiveWords: [] };
    this.change(settings);
  }

  change(settings: Settings): void {
    this.#settings = settings;
    const sensitiveWords = settings.sensitiveWords.map((word) => word.toLowerCase());
    this.#rules = { ...this.#rules, sensitiveWords };
  }

  perform(command: CommandName, items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    switch (command) {
      case 'multiaccount_import':
        return this.#importBatch(items, faults, nowMs);
      case 'account_import':
        return this.#importOne(items, faults, nowMs);
      case 'register_account_v1':
        return this.#register(items, faults, nowMs);
      case 'account_check':
        return this.#each(command, items, faults, ({ userId }) => ({
          code: judgeUserId(userId, this.#rules, true),
          status: this.store.accounts.has(userId) ? 'Imported' : 'NotImported',
        }));
      case 'account_delete':
        // 70107 for an account that does not exist is the public table's nearest code, not documented here.
        return this.#each(command, items, faults, ({ userId }) => ({
          code: this.store.delete(userId, nowMs) ? 0 : 70107,
        }));
    }
  }

  #importBatch(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    const command = 'multiaccount_import';
    const failed = new Set<string>();
    const good: AccountItem[] = [];
    const newcomers = new Set<string>();
    for (const item of items) {
      const fault = faults.accounts?.get(item.userId);
      if (fault?.kind === 'listed') {
        failed.add(item.userId);
        continue;
      }
      const code = fault?.code ?? this.#judgeImport(item, newcomers, nowMs);
      if (code === 0) {
        good.push(item);
      } else if (policyFor(this.#settings.badAccountsInBatch, code) === 'fail-call') {
        return refusal(code, command, fault?.info);
      } else {
        failed.add(item.userId);
      }
    }
    // Only now, so that a call that fails as a whole changes nothing. In order: the last of a user wins.
    this.#importAll(good, nowMs);
    return { code: 0, info: '', failAccounts: this.#failAccounts([...failed, ...faults.strangers]) };
  }

  #importOne(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    for (const item of items) {
      const fault = faults.accounts?.get(item.userId);
      // A listed account without a code of its own (0) fails in batches only.
      const code = fault?.code || this.#judgeImport(item, new Set(), nowMs);
      if (code !== 0) return refusal(code, 'account_import', fault?.info);
    }
    this.#importAll(items, nowMs);
    return { code: 0, info: '' };
  }

  /** register_account_v1 creates accounts and refuses known ones; its Identifier was judged by its form. */
  #register(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    const command = 'register_account_v1';
    for (const item of items) {
      const fault = faults.accounts?.get(item.userId);
      if (fault !== undefined && fault.code !== 0) return refusal(fault.code, command, fault.info);
      if (this.store.accounts.has(item.userId)) return refusal(70402, command);
      const code = this.#judgeNewcomer(item.userId, new Set(), nowMs);
      if (code !== 0) return refusal(code, command);
    }
    this.#importAll(items, nowMs);
    return { code: 0, info: '' };
  }

  #each(
    command: CommandName,
    items: readonly AccountItem[],
    faults: FaultPlan,
    work: (item: AccountItem) => { code: number; status?: 'Imported' | 'NotImported' },
  ): Answer {
    const resultItems = items.map((item): ResultItem => {
      const fault = faults.accounts?.get(item.userId);
      if (fault !== undefined && fault.code !== 0) {
        const info = fault.info ?? errorInfoOf(fault.code, command);
        return { UserID: item.userId, ResultCode: fault.code, ResultInfo: info };
      }
      const { code, status } = work(item);
      const result = { UserID: item.userId, ResultCode: code, ResultInfo: errorInfoOf(code, command) };
      return code === 0 && status !== undefined ? { ...result, AccountStatus: status } : result;
    });
    return { code: 0, info: '', resultItems };
  }

  #judgeImport(item: AccountItem, newcomers: Set<string>, nowMs: number): number {
    const code = judgeAccount(item, this.#rules);
    if (code !== 0 || this.store.accounts.has(item.userId)) return code;
    return this.#judgeNewcomer(item.userId, newcomers, nowMs);
  }

  /** 70399 or 70398 for an account that does not exist yet; `newcomers` are those of the same call. */
  #judgeNewcomer(userId: string, newcomers: Set<string>, nowMs: number): number {
    if (this.store.isBarred(userId, nowMs)) return 70399;
    const limit = this.#settings.maxAccounts;
    if (limit === null || newcomers.has(userId)) return 0;
    if (this.store.accounts.size + newcomers.size >= limit) return 70398;
    newcomers.add(userId);
    return 0;
  }

  #importAll(items: readonly AccountItem[], nowMs: number): void {
    const nowIso = new Date(nowMs).toISOString();
    for (const item of items) this.store.import(item, nowIso);
  }

  #failAccounts(failed: readonly string[]): readonly string[] | null | undefined {
    if (failed.length > 0) return failed;
    const turn = this.#emptyTurn;
    this.#emptyTurn += 1;
    return emptyFailAccounts(this.#settings.emptyFailAccounts, turn);
  }
}
