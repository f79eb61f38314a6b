/** One account of a call, as sent. An absent field is undefined and leaves the stored value alone. */
export interface AccountItem {
  readonly userId: string;
  readonly nick: string | undefined;
  readonly faceUrl: string | undefined;
  readonly type: 0 | 1 | undefined;
}

/** An account that is sent without a profile. */
export function bareItem(userId: string): AccountItem {
  return { userId, nick: undefined, faceUrl: undefined, type: undefined };
}

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

/** What the report tells of the accounts. It is counted on the way: there may be a million accounts. */
interface AccountCounts {
  /** How many accounts have a nick or a picture. */
  profiles: number;
  /** How often the most imported account was imported. Deleted accounts count. */
  maxImports: number;
  importedMoreThanOnce: number;
}

/** The imported accounts, and when each deleted one may be imported again. */
export class AccountStore {
  readonly #accounts = new Map<string, Account>();
  readonly #notBeforeMs = new Map<string, number>();
  #counts: AccountCounts = { profiles: 0, maxImports: 0, importedMoreThanOnce: 0 };

  /** By ID. */
  get accounts(): ReadonlyMap<string, Account> {
    return this.#accounts;
  }

  get counts(): Readonly<AccountCounts> {
    return this.#counts;
  }

  /** How many accounts were deleted and not imported again. */
  get deleted(): number {
    return this.#notBeforeMs.size;
  }

  /** Creates or updates the account. A field that the item does not have stays as it was. */
  import(item: AccountItem, nowIso: string): void {
    let account = this.#accounts.get(item.userId);
    if (account === undefined) {
      account = { ...item, type: item.type ?? 0, importedAt: nowIso, lastImportedAt: nowIso, imports: 1 };
      this.#accounts.set(item.userId, account);
      this.#notBeforeMs.delete(item.userId);
      if (hasProfile(account)) this.#counts.profiles += 1;
    } else {
      if (!hasProfile(account) && hasProfile(item)) this.#counts.profiles += 1;
      account.nick = item.nick ?? account.nick;
      account.faceUrl = item.faceUrl ?? account.faceUrl;
      account.type = item.type ?? account.type;
      account.lastImportedAt = nowIso;
      account.imports += 1;
      if (account.imports === 2) this.#counts.importedMoreThanOnce += 1;
    }
    this.#counts.maxImports = Math.max(this.#counts.maxImports, account.imports);
  }

  /**
   * Deletes the account. It may be imported again three months after `deletedAtMs`.
   * Returns false if there is no such account.
   */
  delete(userId: string, deletedAtMs: number): boolean {
    const account = this.#accounts.get(userId);
    if (account === undefined) return false;
    this.#accounts.delete(userId);
    if (hasProfile(account)) this.#counts.profiles -= 1;
    const notBefore = new Date(deletedAtMs);
    notBefore.setUTCMonth(notBefore.getUTCMonth() + 3);
    this.#notBeforeMs.set(userId, notBefore.getTime());
    return true;
  }

  /** True while the deleted account may not be imported again (70399). */
  isBlocked(userId: string, nowMs: number): boolean {
    return nowMs < (this.#notBeforeMs.get(userId) ?? 0);
  }

  clear(): void {
    this.#accounts.clear();
    this.#notBeforeMs.clear();
    this.#counts = { profiles: 0, maxImports: 0, importedMoreThanOnce: 0 };
  }
}

function hasProfile({ nick, faceUrl }: AccountItem | Account): boolean {
  return nick !== undefined || faceUrl !== undefined;
}
