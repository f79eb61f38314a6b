import { backoffMs } from '../../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../../im/answers.ts';
import { decodeResults } from '../../im/bodies.ts';
import { CHECK_BACKOFF, type CheckOptions, createCheckCaller } from './check-call.ts';

/**
 * What account_check says about an account. `refused`: it does not say; `errorCode` is 0 if the API gave
 * none.
 */
export type Presence =
  | { readonly kind: 'imported' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorInfo: string };

/**
 * Asks the API which accounts exist: account_check, at most 100 users a call. Each call takes a slot of
 * account_check's own budget. So it takes nothing from the imports, and obeys quota, throttle, pause and hold
 * with the whole fleet: while that is stopped, `ask` waits.
 *
 * It sets no hold, since an app may lack the permission to check and import all the same. A fault of the app
 * ends the checks while no call has succeeded yet; later ones are waited out, as the workers do.
 */
export interface AccountChecks {
  /**
   * Takes 1 to 100 distinct user IDs and resolves with a verdict for each. Rejects with ChecksRefusedError or
   * ChecksClosedError.
   */
  ask(userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>>;
  /** Sends nothing new; pending calls of `ask` reject. */
  close(): void;
}

/** An account without a verdict, or with an unknown one, is asked for this often in all. */
const MAX_TRIES_WITHOUT_VERDICT = 3;

export function createAccountChecks(options: CheckOptions): AccountChecks {
  const caller = createCheckCaller(options);
  return {
    async ask(userIds) {
      const findings = createFindings();
      const pending: (readonly string[])[] = [userIds];
      for (let group = pending.pop(); group !== undefined; group = pending.pop()) {
        const { verdict, answer } = await caller.call(group);
        if (answer !== undefined) {
          const again = findings.takeAnswer(group, answer);
          if (again.length > 0) pending.push(again);
          continue;
        }
        if (group.length > 1) {
          // One account of the group is refused: halving finds it, and the others get their verdict.
          const half = Math.ceil(group.length / 2);
          pending.push(group.slice(half), group.slice(0, half));
          continue;
        }
        const [userId = ''] = group;
        const words = verdict.errorInfo || verdict.meaning;
        if (verdict.class !== 'unknown') {
          findings.refused(userId, verdict.errorCode, words);
        } else if (findings.shouldRetry(userId, verdict.errorCode, words)) {
          await caller.rest(verdict, backoffMs(1, CHECK_BACKOFF, options.random()));
          pending.push(group);
        }
      }
      return findings.presence;
    },
    close: () => caller.close(),
  };
}

/** The verdicts of one `ask` so far. */
interface Findings {
  readonly presence: ReadonlyMap<string, Presence>;
  refused(userId: string, errorCode: number, errorInfo: string): void;
  /** Counts an answer without a verdict. False after the last try: then the account counts as refused. */
  shouldRetry(userId: string, errorCode: number, errorInfo: string): boolean;
  /** Notes what a successful answer says of each user. Returns the users to ask for again. */
  takeAnswer(group: readonly string[], answer: ApiAnswer): string[];
}

function createFindings(): Findings {
  const presence = new Map<string, Presence>();
  const tries = new Map<string, number>();
  const refused: Findings['refused'] = (userId, errorCode, errorInfo) => {
    presence.set(userId, { kind: 'refused', errorCode, errorInfo });
  };
  const shouldRetry: Findings['shouldRetry'] = (userId, errorCode, errorInfo) => {
    const tried = (tries.get(userId) ?? 0) + 1;
    tries.set(userId, tried);
    if (tried < MAX_TRIES_WITHOUT_VERDICT) return true;
    refused(userId, errorCode, errorInfo);
    return false;
  };
  return {
    presence,
    refused,
    shouldRetry,
    takeAnswer(group, answer) {
      const results = decodeResults(answer.body);
      return group.filter((userId) => {
        const result = results.get(userId);
        if (result === undefined) return shouldRetry(userId, 0, 'the answer did not speak of this account');
        const { resultCode, resultInfo, imported } = result;
        if (resultCode === 0 && imported !== undefined) {
          presence.set(userId, { kind: imported ? 'imported' : 'missing' });
          return false;
        }
        // An account's own code counts like that of a call for this account alone.
        const words = resultInfo || 'the answer did not say whether this account is there';
        return shouldRetry(userId, resultCode, words);
      });
    },
  };
}
