import { backoffMs } from '../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { decodeResults } from '../im/bodies.ts';
import type { Verdict } from '../im/verdicts.ts';
import { type CheckCall, CheckCaller, type CheckOptions, ChecksRefusedError } from './check-caller.ts';

/**
 * What account_check says about an account. `refused`: it does not say; `errorCode` is 0 if the API gave
 * none.
 */
export type Presence =
  | { readonly kind: 'imported' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorInfo: string };

/** Users who are asked for in one call, and how their calls fared. */
interface Group {
  readonly userIds: readonly string[];
  /** A part of a group that failed while others passed. If it fails, too, it is split at once. */
  readonly isPart: boolean;
  /** Calls of just these users that failed while others passed. With `maxFailures`: that failed. */
  readonly failures: number;
  /** Counts the calls of the whole group, too: they have lowered the rate often enough for its parts. */
  readonly throttles: number;
  readonly hasSignedAnew: boolean;
}

/** An account without a verdict, or with an unknown one, is asked for this often in all. */
const MAX_TRIES_WITHOUT_VERDICT = 3;
/** Parts of a call that failed, all called at the same time: 100, 20, 4, 1 (see partsOf in split.ts). */
const PARTS = 5;
/** After so many throttles in a row, others may tell that they are about these users. */
const LOWERING_THROTTLES = 5;
/** Users are asked for again a bounded number of times while others pass, so the delay stays short. */
const AGAIN = { baseMs: 1_000, maxMs: 5_000 };

/**
 * Asks the API which accounts exist: account_check, at most 100 users a call. Each call takes a slot of
 * account_check's own budget. So it takes nothing from the imports, and obeys quota, throttle, pause and hold
 * with the whole fleet: while that is stopped, `ask` waits.
 *
 * It sets no hold, since an app may lack the permission to check and import all the same. A fault of the app
 * ends the checks while no call has succeeded yet; later ones are waited out, as the workers do.
 *
 * The class of an answer says what to do if the fault is everybody's; whose fault it is, others tell
 * (decision 96). Users who fail while others pass are split, down to single ones. A single one whose calls
 * fail several times while others pass is refused. So one user in a hundred takes 18 calls, and a few more to
 * learn whether others pass.
 */
export class AccountChecks {
  readonly #caller: CheckCaller;

  constructor(options: CheckOptions) {
    this.#caller = new CheckCaller(options);
  }

  /**
   * Takes up to 100 distinct user IDs and resolves with a verdict for each. Rejects with ChecksRefusedError
   * or AbortError.
   */
  async ask(userIds: readonly string[]): Promise<ReadonlyMap<string, Presence>> {
    const run = new CheckRun(this.#caller);
    await run.settle(groupOf(userIds));
    return run.presence;
  }

  /** Ends all calls; pending ones of `ask` reject. The client makes no more calls. */
  close(): void {
    this.#caller.close();
  }
}

function groupOf(userIds: readonly string[]): Group {
  return { userIds, isPart: false, failures: 0, throttles: 0, hasSignedAnew: false };
}

class CheckRun {
  readonly presence = new Map<string, Presence>();
  readonly #caller: CheckCaller;
  /** Answers so far that gave no verdict for a user. */
  readonly #tries = new Map<string, number>();

  constructor(caller: CheckCaller) {
    this.#caller = caller;
  }

  async settle(group: Group): Promise<void> {
    if (group.userIds.length === 0) return;
    const call = await this.#caller.call(group.userIds);
    const next =
      call.answer === undefined ? await this.#failed(group, call) : this.#answered(group, call.answer);
    await Promise.all(next.map((one) => this.settle(one)));
  }

  /** Notes what a successful answer says of each user. Those of whom it says nothing are asked for again. */
  #answered({ userIds, failures }: Group, { body }: ApiAnswer): Group[] {
    this.#caller.chance.passed(failures);
    const results = decodeResults(body);
    const again = userIds.filter((userId) => {
      const { resultCode = 0, resultInfo = '', imported } = results.get(userId) ?? {};
      if (resultCode !== 0 || imported === undefined) {
        // An account's own code counts like that of a call for this account alone.
        const words = resultInfo || 'the answer did not say whether this account is there';
        return this.#hasTriesLeft(userId, resultCode, words);
      }
      this.presence.set(userId, { kind: imported ? 'imported' : 'missing' });
      return false;
    });
    return [groupOf(again)];
  }

  /** Counts an answer without a verdict. After the last try the account counts as refused. */
  #hasTriesLeft(userId: string, errorCode: number, errorInfo: string): boolean {
    const tried = (this.#tries.get(userId) ?? 0) + 1;
    this.#tries.set(userId, tried);
    if (tried < MAX_TRIES_WITHOUT_VERDICT) return true;
    this.presence.set(userId, { kind: 'refused', errorCode, errorInfo });
    return false;
  }

  /** What is asked for next. */
  async #failed(group: Group, call: CheckCall): Promise<Group[]> {
    const { options, chance } = this.#caller;
    const { verdict, startedAtMs } = call;
    const [userId = '', ...others] = group.userIds;
    if (verdict.signAnew && !group.hasSignedAnew) return [{ ...group, hasSignedAnew: true }];
    if (verdict.class === 'throttle') {
      const wasLowered = group.throttles >= LOWERING_THROTTLES;
      // Others pass: the rate, which was lowered often for these users, is not the cause.
      if (!wasLowered || !this.#caller.passedSince(startedAtMs)) await this.#caller.lowerRate(call);
      if (!wasLowered) return [{ ...group, throttles: group.throttles + 1 }];
    }
    if (namesTheRequest(verdict))
      return others.length > 0 ? partsOf(group) : this.#refusedAlone(userId, verdict);
    const next = { ...group, failures: group.failures + 1 };
    if (options.maxFailures !== undefined) {
      // Somebody waits for the answer: a few calls, and nothing to compare with.
      const isRefusedAtFirst = verdict.class === 'app' && !this.#caller.hasPassed;
      if (isRefusedAtFirst || next.failures > options.maxFailures) throw new ChecksRefusedError(verdict);
    } else {
      if (!(await this.#caller.othersPass(call))) return [group];
      if (others.length === 0) {
        if (next.failures >= chance.endAfter()) return this.#refuse(userId, verdict);
      } else if (group.isPart || next.failures >= chance.splitAfter()) return partsOf(group);
    }
    await this.#restAfter(next.failures, verdict);
    return [next];
  }

  /** The API has answered for this one account with a code that names the request as the cause. */
  async #refusedAlone(userId: string, verdict: Verdict): Promise<Group[]> {
    await this.#caller.refusedAlone(verdict);
    if (verdict.class !== 'unknown') return this.#refuse(userId, verdict);
    if (!this.#hasTriesLeft(userId, verdict.errorCode, verdict.errorInfo || verdict.meaning)) return [];
    await this.#restAfter(1, verdict);
    return [groupOf([userId])];
  }

  #refuse(userId: string, { errorCode, errorInfo, meaning }: Verdict): Group[] {
    this.presence.set(userId, { kind: 'refused', errorCode, errorInfo: errorInfo || meaning });
    return [];
  }

  #restAfter(failures: number, verdict: Verdict): Promise<void> {
    const waitMs = AGAIN.baseMs / 2 + backoffMs(failures, AGAIN, this.#caller.options.random());
    return this.#caller.rest(verdict, waitMs, true);
  }
}

/** Classes whose codes say that the request is the cause, or that no table knows. */
function namesTheRequest({ class: verdict }: Verdict): boolean {
  return verdict === 'body' || verdict === 'account' || verdict === 'unknown';
}

function partsOf(group: Group): Group[] {
  const { userIds } = group;
  const size = Math.ceil(userIds.length / PARTS);
  const count = Math.ceil(userIds.length / size);
  return Array.from({ length: count }, (_, at) => ({
    ...group,
    userIds: userIds.slice(at * size, (at + 1) * size),
    isPart: true,
    failures: 0,
  }));
}
