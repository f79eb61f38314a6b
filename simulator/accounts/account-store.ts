import type { AccountItem } from './account-item.ts';

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

/** The imported accounts, and when each deleted one may be imported again. */
export class AccountStore {
  readonly #accounts = new Map<string, Account>();
  readonly #notBeforeMs = new Map<string, number>();
  #maxImports = 0;
  #importedMoreThanOnce = 0;
  #profiles = 0;

  /** By ID. */
  get accounts(): ReadonlyMap<string, Account> {
    return this.#accounts;
  }

  /** How often the most imported account was imported. Deleted accounts count. */
  get maxImports(): number {
    return this.#maxImports;
  }

  get importedMoreThanOnce(): number {
    return this.#importedMoreThanOnce;
  }

  /** How many accounts have a nick or a picture. */
  get profiles(): number {
    return this.#profiles;
  }

  /** How many accounts were deleted and not imported again. */
  get deleted(): number {
    return this.#notBeforeMs.size;
  }

  /** Creates or updates the account. A field that the item does not have stays as it was. */
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

  /**
   * Deletes the account. It may be imported again three months after `deletedAtMs`.
   * Returns false if there is no such account.
   */
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

  /** True while the deleted account may not be imported again (70399). */
  isBlocked(userId: string, nowMs: number): boolean {
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
