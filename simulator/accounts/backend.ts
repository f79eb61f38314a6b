import type { CommandName } from '../commands.ts';
import { type Answer, emptyFailAccounts, errorInfoOf, type ResultItem, refusal } from '../http/answer.ts';
import type { FaultPlan } from '../scenario/fault-selector.ts';
import { policyFor, type Settings } from '../scenario/settings.ts';
import {
  type AccountConstraints,
  type AccountItem,
  validateAccount,
  validateUserId,
} from './account-item.ts';
import type { AccountStore } from './account-store.ts';

/** Carries out the commands on the accounts and returns their answers. Has no clock, randomness or I/O. */
export class Backend {
  readonly store: AccountStore;
  #settings: Settings;
  #constraints: AccountConstraints;
  #emptyTurn = 0;

  constructor(store: AccountStore, adminId: string, asciiIdsOnly: boolean, settings: Settings) {
    this.store = store;
    this.#settings = settings;
    this.#constraints = { adminId, asciiIdsOnly, sensitiveWords: [] };
    this.changeSettings(settings);
  }

  changeSettings(settings: Settings): void {
    this.#settings = settings;
    const sensitiveWords = settings.sensitiveWords.map((word) => word.toLowerCase());
    this.#constraints = { ...this.#constraints, sensitiveWords };
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
        return this.#forEachItem(command, items, faults, ({ userId }) => ({
          code: validateUserId(userId, this.#constraints, true),
          status: this.store.accounts.has(userId) ? 'Imported' : 'NotImported',
        }));
      case 'account_delete':
        // The reference names no code for a missing account; 70107 is the nearest in the public table.
        return this.#forEachItem(command, items, faults, ({ userId }) => ({
          code: this.store.delete(userId, nowMs) ? 0 : 70107,
        }));
    }
  }

  #importBatch(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    const command = 'multiaccount_import';
    const failed = new Set<string>();
    const good: AccountItem[] = [];
    const newAccounts = new Set<string>();
    for (const item of items) {
      const fault = faults.accountFaults?.get(item.userId);
      if (fault?.kind === 'listed') {
        failed.add(item.userId);
        continue;
      }
      const code = fault?.code ?? this.#validateImport(item, newAccounts, nowMs);
      if (code === 0) {
        good.push(item);
      } else if (policyFor(this.#settings.badAccountsInBatch, code) === 'fail-call') {
        return refusal(code, command, fault?.info);
      } else {
        failed.add(item.userId);
      }
    }
    // Imported last, so that a call that fails as a whole changes nothing. A user's last item wins.
    this.#importAll(good, nowMs);
    return { code: 0, info: '', failAccounts: this.#failAccounts([...failed, ...faults.strangers]) };
  }

  #importOne(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    for (const item of items) {
      const fault = faults.accountFaults?.get(item.userId);
      // A listed account whose code is 0 fails only in batches.
      const code = fault?.code || this.#validateImport(item, new Set(), nowMs);
      if (code !== 0) return refusal(code, 'account_import', fault?.info);
    }
    this.#importAll(items, nowMs);
    return { code: 0, info: '' };
  }

  /** register_account_v1 refuses accounts that exist. request-body.ts has checked the Identifier. */
  #register(items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    const command = 'register_account_v1';
    for (const item of items) {
      const fault = faults.accountFaults?.get(item.userId);
      if (fault !== undefined && fault.code !== 0) return refusal(fault.code, command, fault.info);
      if (this.store.accounts.has(item.userId)) return refusal(70402, command);
      const code = this.#validateNewAccount(item.userId, new Set(), nowMs);
      if (code !== 0) return refusal(code, command);
    }
    this.#importAll(items, nowMs);
    return { code: 0, info: '' };
  }

  #forEachItem(
    command: CommandName,
    items: readonly AccountItem[],
    faults: FaultPlan,
    work: (item: AccountItem) => { code: number; status?: 'Imported' | 'NotImported' },
  ): Answer {
    const resultItems = items.map((item): ResultItem => {
      const fault = faults.accountFaults?.get(item.userId);
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

  #validateImport(item: AccountItem, newAccounts: Set<string>, nowMs: number): number {
    const code = validateAccount(item, this.#constraints);
    if (code !== 0 || this.store.accounts.has(item.userId)) return code;
    return this.#validateNewAccount(item.userId, newAccounts, nowMs);
  }

  /**
   * Returns 70399 or 70398 for an account that does not exist yet, or 0.
   * `newAccounts` collects the new accounts of the same call.
   */
  #validateNewAccount(userId: string, newAccounts: Set<string>, nowMs: number): number {
    if (this.store.isBlocked(userId, nowMs)) return 70399;
    const limit = this.#settings.maxAccounts;
    if (limit === null || newAccounts.has(userId)) return 0;
    if (this.store.accounts.size + newAccounts.size >= limit) return 70398;
    newAccounts.add(userId);
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
