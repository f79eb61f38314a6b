import type { CommandName } from '../commands.ts';
import { type Answer, errorInfoOf, type ResultItem, refusal } from '../http/answer.ts';
import type { FaultPlan } from '../scenario/fault-selector.ts';
import { policyFor, type Settings } from '../scenario/scenario.ts';
import type { AccountItem, AccountStore } from './account-store.ts';

const MAX_ID_BYTES = 32;
const MAX_PROFILE_BYTES = 500;
const SERVICE_PREFIXES = ['@TGS#', '@TLS#', '@TIM#', '@TOA#'];
const ROBOT_PREFIX = '@RBT#';

/** Carries out the commands on the accounts and returns their answers. Has no clock, randomness or I/O. */
export class Backend {
  readonly store: AccountStore;
  readonly #adminId: string;
  settings: Settings;
  #emptyTurn = 0;

  constructor(store: AccountStore, adminId: string, settings: Settings) {
    this.store = store;
    this.#adminId = adminId;
    this.settings = settings;
  }

  perform(command: CommandName, items: readonly AccountItem[], faults: FaultPlan, nowMs: number): Answer {
    switch (command) {
      case 'multiaccount_import':
        return this.#importBatch(items, faults, nowMs);
      case 'account_import':
        return this.#importAlone(command, items, faults, nowMs, (item) =>
          this.#checkImport(item, new Set(), nowMs),
        );
      case 'register_account_v1':
        // It refuses accounts that exist. request-body.ts has checked the Identifier.
        return this.#importAlone(command, items, faults, nowMs, ({ userId }) =>
          this.store.accounts.has(userId) ? 70402 : this.#checkNewAccount(userId, new Set(), nowMs),
        );
      case 'account_check':
        return this.#forEachItem(command, items, faults, ({ userId }) => ({
          code: this.#checkUserId(userId, true),
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
    const failed = new Set<string>();
    const good: AccountItem[] = [];
    const newAccounts = new Set<string>();
    for (const item of items) {
      const fault = faults.accountFaults?.get(item.userId);
      if (fault?.kind === 'listed') {
        failed.add(item.userId);
        continue;
      }
      const code = fault?.code ?? this.#checkImport(item, newAccounts, nowMs);
      if (code === 0) {
        good.push(item);
      } else if (policyFor(this.settings.badAccountsInBatch, code) === 'fail-call') {
        return refusal(code, 'multiaccount_import', fault?.info);
      } else {
        failed.add(item.userId);
      }
    }
    // Imported last, so that a call that fails as a whole changes nothing. A user's last item wins.
    this.#importAll(good, nowMs);
    const failAccounts = [...failed, ...faults.strangers];
    return { code: 0, info: '', failAccounts: failAccounts.length > 0 ? failAccounts : this.#emptyList() };
  }

  /** Imports the account of a call that carries one. `check` returns the code that refuses it, or 0. */
  #importAlone(
    command: CommandName,
    items: readonly AccountItem[],
    faults: FaultPlan,
    nowMs: number,
    check: (item: AccountItem) => number,
  ): Answer {
    for (const item of items) {
      const fault = faults.accountFaults?.get(item.userId);
      // A listed account whose code is 0 fails only in batches.
      const code = fault?.code || check(item);
      if (code !== 0) return refusal(code, command, fault?.info);
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
      const { code, status } = fault?.code ? { code: fault.code } : work(item);
      const info = fault?.info ?? errorInfoOf(code, command);
      const result = { UserID: item.userId, ResultCode: code, ResultInfo: info };
      return code === 0 && status !== undefined ? { ...result, AccountStatus: status } : result;
    });
    return { code: 0, info: '', resultItems };
  }

  /**
   * Returns the code with which the API refuses to import this account, or 0.
   * 40601: a profile value has more than 500 bytes. 40005: a sensitive word, in upper or lower case.
   *
   * Source: API reference, account_import and multiaccount_import (2025-04).
   */
  #checkImport(item: AccountItem, newAccounts: Set<string>, nowMs: number): number {
    const code =
      this.#checkUserId(item.userId, item.type === 1) ||
      this.#checkProfileValue(item.nick) ||
      this.#checkProfileValue(item.faceUrl);
    if (code !== 0 || this.store.accounts.has(item.userId)) return code;
    return this.#checkNewAccount(item.userId, newAccounts, nowMs);
  }

  /** Returns 70402 for an ID that no account can have, or 0. Users report that only printable ASCII works. */
  #checkUserId(userId: string, robot: boolean): number {
    const possible =
      /^[\x20-\x7e]+$/.test(userId) &&
      userId.length <= MAX_ID_BYTES &&
      userId !== this.#adminId &&
      !SERVICE_PREFIXES.some((prefix) => userId.startsWith(prefix)) &&
      (robot || !userId.startsWith(ROBOT_PREFIX));
    return possible ? 0 : 70402;
  }

  #checkProfileValue(value = ''): number {
    if (Buffer.byteLength(value) > MAX_PROFILE_BYTES) return 40601;
    const lower = value.toLowerCase();
    return this.settings.sensitiveWords.some((word) => lower.includes(word.toLowerCase())) ? 40005 : 0;
  }

  /**
   * Returns 70399 or 70398 for an account that does not exist yet, or 0.
   * `newAccounts` collects the new accounts of the same call.
   */
  #checkNewAccount(userId: string, newAccounts: Set<string>, nowMs: number): number {
    if (this.store.isBlocked(userId, nowMs)) return 70399;
    const limit = this.settings.maxAccounts;
    if (limit === null || newAccounts.has(userId)) return 0;
    if (this.store.accounts.size + newAccounts.size >= limit) return 70398;
    newAccounts.add(userId);
    return 0;
  }

  #importAll(items: readonly AccountItem[], nowMs: number): void {
    const nowIso = new Date(nowMs).toISOString();
    for (const item of items) this.store.import(item, nowIso);
  }

  /** Returns FailAccounts when no account failed. */
  #emptyList(): readonly string[] | null | undefined {
    const shapes = ['empty', 'missing', 'null'] as const;
    const set = this.settings.emptyFailAccounts;
    const shape = set === 'rotating' ? shapes[this.#emptyTurn % shapes.length] : set;
    this.#emptyTurn += 1;
    if (shape === 'empty') return [];
    return shape === 'null' ? null : undefined;
  }
}
