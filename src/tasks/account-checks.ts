import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandLimiter, placeCall, type SlotReport } from '../delivery/make-call.ts';
import { backoffMs } from '../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { decodeResults, encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, type VerdictOverrides, verdictOf } from '../im/verdicts.ts';
import type { SlotClass } from '../pace/budget.ts';
import type { HoldWatch } from '../pace/hold/hold-watch.ts';
import { type SlotClient, withoutRecord } from '../pace/slot.ts';

/** Whether an account is there, as account_check says; or why it does not say. `errorCode` is 0 if the API gave none. */
export type Presence =
  | { readonly kind: 'imported' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorInfo: string };

/** No call can succeed as things are, and none did since this process began to ask; or patience has ended. */
export class ChecksRefusedError extends Error {
  override readonly name = 'ChecksRefusedError';
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    super(verdictWords(verdict));
    this.verdict = verdict;
  }
}

/** `close` was called. */
export class ChecksClosedError extends Error {
  override readonly name = 'ChecksClosedError';
}

/**
 * Asks the API who is there: account_check, at most 100 users a call, each call in a slot of account_check's own
 * budget. So it takes nothing from the imports, and obeys quota, throttle, pause and hold with the whole fleet:
 * while that is stopped, `ask` waits.
 *
 * It sets no hold: an app may lack the permission to check and import all the same. A fault of the app that meets
 * the first call of all ends the asking (somebody is there to mend it); later ones are waited out, as the workers
 * do.
 */
export interface AccountChecks {
  /**
   * One to 100 distinct user IDs; a verdict for each. Rejects with ChecksRefusedError or ChecksClosedError.
   */
  ask(userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>>;
  /** Nothing new is sent; who waits is rejected. */
  close(): void;
}

export interface AccountChecksReport {
  /** A call did not succeed and is made again after `waitMs`; called for each. */
  again(verdict: Verdict, waitMs: number): void;
  /** A call succeeded. */
  answered(): void;
}

/** An account whose verdict is missing from the answer, or unknown, is asked for this often in all. */
const TRIES_OF_THE_ODD = 3;
/** Whole calls refused one after the other, down to single accounts, without a success: it is not the accounts. */
const REFUSED_IN_ROW = 20;
const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };
/** Between calls that a fault of the app refuses: from 4 s up, each a half to the whole of twice the last. */
const APP_GAP = { baseMs: 4_000, maxMs: 60_000 };

export function createAccountChecks(options: {
  readonly client: ImClient;
  /** Of account_check. Closed by `close`. */
  readonly limiter: CommandLimiter;
  readonly watch: HoldWatch;
  readonly slotClass: SlotClass;
  /** The budgets that a throttle of all commands lowers, but for the limiter's own. */
  readonly otherSlots: readonly SlotClient[];
  readonly overrides: VerdictOverrides;
  /** Reads the secrets anew and signs. */
  readonly signAnew: () => void;
  /** Transient failures in a row of one `ask` before it rejects; unbounded by default. */
  readonly maxFailures?: number;
  readonly random: () => number;
  readonly report: AccountChecksReport;
}): AccountChecks {
  const { client, limiter, watch, slotClass, otherSlots, overrides, signAnew, random, report } = options;
  const maxFailures = options.maxFailures ?? Number.POSITIVE_INFINITY;
  const closed = new AbortController();
  let succeeded = false;
  let refusedInRow = 0;
  const slots: SlotReport = {
    probing() {},
    missed: (slot) => limiter.slots.giveUp(slot),
  };

  const rest = async (verdict: Verdict, waitMs: number): Promise<void> => {
    report.again(verdict, waitMs);
    await sleep(waitMs, undefined, { signal: closed.signal }).catch(() => {
      throw new ChecksClosedError();
    });
  };

  /** One call, made until it has a verdict about its users. */
  const call = async (userIds: readonly string[]): Promise<{ verdict: Verdict; answer?: ApiAnswer }> => {
    let signedAnew = false;
    for (let failures = 0; ; ) {
      const placed = await placeCall(
        client,
        limiter,
        watch,
        withoutRecord(slotClass),
        encodeCheck(userIds),
        slots,
      );
      // A call without a record is lost to nobody.
      if (placed.kind !== 'answered') throw new ChecksClosedError();
      const heard = verdictOf('account_check', placed.answer, overrides);
      const verdict = { ...heard, errorInfo: withoutUsers(heard.errorInfo, userIds) };
      switch (verdict.class) {
        case 'done':
          succeeded = true;
          refusedInRow = 0;
          report.answered();
          return placed.answer.kind === 'api' ? { verdict, answer: placed.answer } : { verdict };
        case 'throttle': {
          const books = verdict.throttles === 'all' ? [limiter.slots, ...otherSlots] : [limiter.slots];
          await Promise.all(books.map((slots) => slots.throttle(placed.slot, verdict.retryAfterMs ?? 0)));
          report.again(verdict, 0);
          break;
        }
        case 'retry':
          if (++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await rest(verdict, BACKOFF.baseMs / 2 + backoffMs(failures - 1, BACKOFF, random()));
          break;
        case 'app':
          signAnew();
          if (verdict.signAnew && !signedAnew) {
            signedAnew = true;
            break;
          }
          if (!succeeded || ++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await rest(verdict, Math.max(verdict.minProbeGapMs ?? 0, appGapMs(failures, random())));
          break;
        default:
          if (++refusedInRow >= REFUSED_IN_ROW) throw new ChecksRefusedError(verdict);
          return { verdict };
      }
    }
  };

  const ask = async (userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>> => {
    const found = new Map<string, Presence>();
    const tries = new Map<string, number>();
    const pending: (readonly string[])[] = [userIds];
    /** Asks again for an account that no answer settles, a few times. */
    const odd = (userId: string, errorCode: number, errorInfo: string): boolean => {
      const tried = (tries.get(userId) ?? 0) + 1;
      tries.set(userId, tried);
      if (tried < TRIES_OF_THE_ODD) return true;
      found.set(userId, { kind: 'refused', errorCode, errorInfo });
      return false;
    };
    for (let group = pending.pop(); group !== undefined; group = pending.pop()) {
      const { verdict, answer } = await call(group);
      if (answer !== undefined) {
        const again = settle(group, answer, found, odd);
        if (again.length > 0) pending.push(again);
      } else if (group.length > 1) {
        const half = Math.ceil(group.length / 2);
        pending.push(group.slice(half), group.slice(0, half));
      } else {
        const [userId = ''] = group;
        const words = verdict.errorInfo || verdict.meaning;
        if (verdict.class !== 'unknown') {
          found.set(userId, { kind: 'refused', errorCode: verdict.errorCode, errorInfo: words });
        } else if (odd(userId, verdict.errorCode, words)) {
          await rest(verdict, backoffMs(1, BACKOFF, random()));
          pending.push(group);
        }
      }
    }
    return found;
  };

  return {
    ask,
    close() {
      closed.abort();
      limiter.slotQueue.close();
    },
  };
}

function appGapMs(failures: number, random: number): number {
  const most = Math.min(APP_GAP.maxMs, APP_GAP.baseMs * 2 ** Math.min(failures - 1, 10));
  return most / 2 + (random * most) / 2;
}

/** Takes what the answer says about each user; answers those to be asked for again. */
function settle(
  group: readonly string[],
  answer: ApiAnswer,
  found: Map<string, Presence>,
  odd: (userId: string, errorCode: number, errorInfo: string) => boolean,
): string[] {
  const results = decodeResults(answer.body);
  return group.filter((userId) => {
    const result = results.get(userId);
    if (result === undefined) return odd(userId, 0, 'the answer did not speak of this account');
    const { resultCode, resultInfo, imported } = result;
    if (resultCode === 0 && imported !== undefined) {
      found.set(userId, { kind: imported ? 'imported' : 'missing' });
      return false;
    }
    // Its own code counts as that of a call for this account alone.
    return odd(userId, resultCode, resultInfo || 'the answer did not say whether this account is there');
  });
}

/** An answer in words: `70003 the UserSig is illegal ("…")`. */
export function verdictWords({ errorCode, httpStatus, meaning, errorInfo }: Verdict): string {
  const code = errorCode !== 0 ? `${errorCode}, ` : httpStatus > 200 ? `HTTP ${httpStatus}, ` : '';
  return `${code}${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
}
