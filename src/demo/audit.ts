import type { StoredLetter } from '../ledger/letters/dead-letters.ts';
import type { PlannedSignup } from './plan.ts';

/** The demo's own check, against what the simulator holds: not what the workers believe of themselves. */
export interface Audit {
  /** Users that should have an account, by the signups and the dead letters. */
  readonly expected: number;
  readonly accounts: number;
  /** Users without an account though no dead letter says why. */
  readonly missing: readonly string[];
  /** Users whose account has another nick than their newest one, though no dead letter says why. */
  readonly stale: readonly string[];
  /** Accounts that nobody signed up for. */
  readonly strangers: readonly string[];
}

/** `accounts`: nick by user ID. */
export function auditAccounts(
  signups: readonly PlannedSignup[],
  letters: readonly StoredLetter[],
  accounts: ReadonlyMap<string, string>,
): Audit {
  const newestNick = new Map(signups.map(({ user }) => [user.userId, user.nick ?? '']));
  const excused = (profile: boolean): Set<string> =>
    new Set(letters.filter(({ reason }) => (reason === 'profile') === profile).map(({ userId }) => userId));
  const bare = excused(true);
  const refused = excused(false);
  const missing: string[] = [];
  const stale: string[] = [];
  let expected = 0;
  for (const [userId, nick] of newestNick) {
    const held = accounts.get(userId);
    if (held !== undefined || !refused.has(userId)) expected++;
    if (held === undefined) {
      if (!refused.has(userId)) missing.push(userId);
    } else if (held !== nick && !bare.has(userId)) stale.push(userId);
  }
  const strangers = [...accounts.keys()].filter((userId) => !newestNick.has(userId));
  return { expected, accounts: accounts.size, missing, stale, strangers };
}
