import type { AccountItem } from './account-item.ts';
import { ShardedMap } from './sharded-map.ts';

/** An account as the simulator remembers it. Times are ISO 8601. */
export interface Account {
  readonly userId: string;
  nick: string | undefined;
  faceUrl: string | undefined;
  type: 0 | 1;
  readonly importedAt: string;
  lastImportedAt: string;
  /** How often it was imported. */
  imports: number;
}

/** The accounts and the memory of deleted ones. */
export class AccountStore {
  readonly #accounts = new ShardedMap<Account>();
  readonly #notBeforeMs = new Map<string, number>();
  #maxImports = 0;
  #importedMoreThanOnce = 0;
  #profiles = 0;

  /** By ID, in no order. */
  get accounts(): ReadonlyMap<string, Account> {
    return this.#accounts;
  }

  /** The most often that one account was imported; deleted ones count. */
  get maxImports(): number {
    return this.#maxImports;
  }

  get importedMoreThanOnce(): number {
    return this.#importedMoreThanOnce;
  }

  /** Accounts that have a nick or a picture. */
  get profiles(): number {
    return this.#profiles;
  }

  /** Accounts that were deleted and not imported again. */
  get deleted(): number {
    return this.#notBeforeMs.size;
  }

  /** Creates the account or updates it; what the item does not say stays as it was. */
  import(item: AccountItem, nowIso: string): void {
    const known = this.#accounts.get(item.userId);
    if (known === undefined) {
      this.#notBeforeMs.delete(item.userId);
      this.#accounts.set(item.userId, {
        userId: item.userId,
        nick: item.nick,
        faceUrl: item.faceUrl,
        type: item.type ?? 0,
        importedAt: nowIso,
        lastImportedAt: nowIso,
        imports: 1,
      });
      if (item.nick !== undefined || item.faceUrl !== undefined) this.#profiles += 1;
      if (this.#maxImports === 0) this.#maxImports = 1;
      return;
    }
    if (!hasProfile(known) && (item.nick !== undefined || item.faceUrl !== undefined)) this.#profiles += 1;
    if (item.nick !== undefined) known.nick = item.nick;
    if (item.faceUrl !== undefined) known.faceUrl = item.faceUrl;
    if (item.type !== undefined) known.type = item.type;
    known.lastImportedAt = nowIso;
    known.imports += 1;
    if (known.imports === 2) this.#importedMoreThanOnce += 1;
    if (known.imports > this.#maxImports) this.#maxImports = known.imports;
  }

  /** Deletes the account; it may come back three months after `deletedAtMs`. False if there is none. */
  delete(userId: string, deletedAtMs: number): boolean {
    const account = this.#accounts.get(userId);
    if (account === undefined) return false;
    this.#accounts.delete(userId);
    if (hasProfile(account)) this.#profiles -= 1;
    const notBefore = new Date(deletedAtMs);
    notBefore.setUTCMonth(notBefore.getUTCMonth() + 3);
    this.#notBeforeMs.set(userId, notBefore.getTime());
    return true;
  }

  /** True while the account may not be imported again (70399). */
  isBarred(userId: string, nowMs: number): boolean {
    const notBeforeMs = this.#notBeforeMs.get(userId);
    return notBeforeMs !== undefined && nowMs < notBeforeMs;
  }

  clear(): void {
    this.#accounts.clear();
    this.#notBeforeMs.clear();
    this.#maxImports = 0;
    this.#importedMoreThanOnce = 0;
    this.#profiles = 0;
  }
}

function hasProfile(account: Account): boolean {
  return account.nick !== undefined || account.faceUrl !== undefined;
}
