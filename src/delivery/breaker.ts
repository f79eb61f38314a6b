import { withoutUsers } from '../im/redact.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { HoldState, HoldWord } from '../pace/hold/hold-state.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import type { Whose } from './policy/decision.ts';
import type { ApiRequest } from './policy/pending-user.ts';

/**
 * What an answer means for the whole fleet, before its call's users are decided on.
 * - `judge`: it says something about the users. `whose`: whose fault a failure seems to be that no code explains.
 * - `passed`: accounts pass. Their settlement tells the fleet, unless `isTold`.
 * - `again`: it says nothing about the users. They wait for another slot, and no attempt is spent. `how`: as they are
 *   (`same`), with the failure noted (`failed`), or noted and with one user alone ahead of the others (`canary`), who
 *   tells a fault of these users from one of the app. `afterMs`: how long they wait before.
 */
export type BreakerVerdict =
  | { readonly kind: 'judge'; readonly whose: Whose }
  | { readonly kind: 'passed'; readonly isTold: boolean }
  | { readonly kind: 'again'; readonly how: 'same' | 'failed' | 'canary'; readonly afterMs?: number };

export interface BreakerOptions {
  readonly hold: HoldState;
  readonly limiters: Readonly<Partial<Record<ApiRequest['command'], CommandLimiter>>>;
  /** The UserSig has expired: signs again, by another clock if this machine's may be wrong. */
  readonly signAnew: (sentAtMs: number) => void;
  readonly report: BreakerEvents;
}

export interface BreakerEvents {
  /** `ratePerSecond`: the shared rate from now on; null when it was lowered already. */
  throttled(command: ApiRequest['command'], verdict: Verdict, ratePerSecond: number | null): void;
}

/** What the API said. It must not name users: what holds the fleet is shown everywhere. */
interface ApiWords {
  readonly errorCode: number;
  readonly errorInfo: string;
}

const HELD: ReadonlySet<HoldWord> = new Set<HoldWord>(['set', 'postponed', 'waiting', 'held']);
const AGAIN: BreakerVerdict = { kind: 'again', how: 'same' };
const CANARY: BreakerVerdict = { kind: 'again', how: 'canary' };
/** While the rate adapts, a call may be refused this many times more than one that fails otherwise. */
const THROTTLES_MORE = 3;
/** Refusals in a row after which a canary tells whether everybody is refused. */
const THROTTLES_BEFORE_CANARY = 2;
/** The longest wait for one user's Retry-After while others pass. By then it shows whether it was for everybody. */
const MOST_OWN_WAIT_MS = 20_000;
/** One user's call says that no call can succeed, but others passed a moment ago. They show meanwhile. */
const OTHERS_SHOW_MS = 1_000;

/** Tells the fleet every answer of one run. */
export class BreakerReporter {
  readonly #options: BreakerOptions;
  readonly #callId: string;
  readonly #splitAfter: () => number;
  /** A signature that has expired is renewed once a run before it counts as a fault. */
  #hasSignedAnew = false;

  /** `callId`: the record of the run. `splitAfter`: see DecisionPolicy. */
  constructor(options: BreakerOptions, callId: string, splitAfter: () => number) {
    this.#options = options;
    this.#callId = callId;
    this.#splitAfter = splitAfter;
  }

  /** `failed`: how many users of the request stand in FailAccounts. */
  async report(request: ApiRequest, verdict: Verdict, failed: number, slot: Slot): Promise<BreakerVerdict> {
    const { hold } = this.#options;
    const userIds = request.users.map(({ userId }) => userId);
    const { errorCode } = verdict;
    const words = {
      errorCode,
      errorInfo: (verdict.errorInfo !== '' && withoutUsers(verdict.errorInfo, userIds)) || verdict.meaning,
    };
    if (isKnownFault(request, verdict)) return this.#suspectFailed(request, slot);
    switch (verdict.class) {
      case 'throttle':
        return this.#throttled(request, verdict, words, slot);
      case 'app':
        return this.#blocked(request, verdict, words, slot);
      case 'done':
        // All of them failed: the API answers, but nothing proves that an account can pass.
        if (failed === userIds.length) return this.#refused(request, slot, words, true);
        if (slot.probe) await hold.success(slot, this.#callId);
        return { kind: 'passed', isTold: slot.probe };
      case 'retry': {
        const word = await hold.trouble(slot, words, this.#failing(request));
        if (HELD.has(word) && word !== 'set') return CANARY;
        return { kind: 'judge', whose: whoseFault(word) };
      }
      case 'account':
      case 'body':
        return this.#refused(request, slot, words, true);
      case 'unknown':
        return this.#refused(request, slot, words, false);
    }
  }

  /**
   * An answer to account_check says nothing about imports: an app may lack the permission to check, and import all
   * the same.
   */
  async reportCheck(verdict: Verdict, slot: Slot): Promise<BreakerVerdict> {
    const { hold, limiters } = this.#options;
    if (slot.probe) await hold.missed(slot);
    if (verdict.class === 'throttle')
      await limiters.account_check?.slots.throttle(slot, verdict.retryAfterMs ?? 0);
    return { kind: 'judge', whose: 'unknown' };
  }

  async #throttled(
    request: ApiRequest,
    verdict: Verdict,
    words: ApiWords,
    slot: Slot,
  ): Promise<BreakerVerdict> {
    const { hold, limiters, report } = this.#options;
    const { retryAfterMs = 0 } = verdict;
    const failing = this.#failing(request);
    const whose = slot.probe ? 'unknown' : whoseFault(await hold.compare(slot, failing));
    // If these users alone are refused again and again, the rate is not the cause. Retry-After was obeyed once.
    const patience = this.#splitAfter() + (retryAfterMs > 0 ? 0 : THROTTLES_MORE);
    if (whose === 'theirs' && request.failures + 1 >= patience) return { kind: 'judge', whose };
    // Others passed of late: until a second call is refused, Retry-After is for these users alone.
    const isOwn = whose !== 'unknown';
    const lowered = verdict.throttles === 'all' ? Object.values(limiters) : [limiters[request.command]];
    const rates = await Promise.all(
      lowered.map((limiter) => limiter?.slots.throttle(slot, isOwn ? 0 : retryAfterMs) ?? null),
    );
    report.throttled(request.command, verdict, rates.find((rate) => rate !== null) ?? null);
    if (slot.probe) await hold.trouble(slot, words, failing);
    return {
      kind: 'again',
      how: request.failures + 1 >= THROTTLES_BEFORE_CANARY ? 'canary' : 'failed',
      afterMs: isOwn ? Math.min(retryAfterMs, MOST_OWN_WAIT_MS) : 0,
    };
  }

  async #blocked(
    request: ApiRequest,
    verdict: Verdict,
    words: ApiWords,
    slot: Slot,
  ): Promise<BreakerVerdict> {
    const { hold, signAnew } = this.#options;
    if (verdict.signAnew && !this.#hasSignedAnew) {
      this.#hasSignedAnew = true;
      signAnew(slot.atLocalMs);
      if (slot.probe) await hold.missed(slot);
      return AGAIN;
    }
    const { holdKind: kind = 'configuration', minProbeGapMs } = verdict;
    const why = { ...words, kind, ...(minProbeGapMs !== undefined && { minProbeGapMs }) };
    const word = await hold.blocked(slot, why, this.#failing(request));
    if (word === 'others-pass') return { kind: 'judge', whose: 'theirs' };
    if (HELD.has(word) || request.users.length > 1) return CANARY;
    return { kind: 'again', how: 'canary', afterMs: OTHERS_SHOW_MS };
  }

  /** An answer that speaks against all users of its call. `isExplained`: its code names the account or the request. */
  async #refused(
    request: ApiRequest,
    slot: Slot,
    words: ApiWords,
    isExplained: boolean,
  ): Promise<BreakerVerdict> {
    // Users of a call that failed before were counted then: a few who are called again and again are not many.
    const isFirst = request.first && request.failures === 0;
    const isNews = isFirst || (request.users.length === 1 && request.users[0]?.failed === true);
    // Such a code says nothing of others, and nothing against suspects.
    const whoFails = isExplained ? { callId: '', failedAtMs: 0 } : this.#failing(request);
    const word = await this.#options.hold.bad(slot, isNews ? request.users.length : 0, words, whoFails);
    return HELD.has(word) ? CANARY : { kind: 'judge', whose: whoseFault(word) };
  }

  async #suspectFailed(request: ApiRequest, slot: Slot): Promise<BreakerVerdict> {
    const isProved = (request.users[0]?.suspicion?.failures ?? 0) > 0;
    const word = await this.#options.hold.suspect(slot, this.#failing(request), isProved);
    return HELD.has(word) ? AGAIN : { kind: 'judge', whose: whoseFault(word) };
  }

  #failing({ failedAtMs }: ApiRequest) {
    return { callId: this.#callId, failedAtMs };
  }
}

/** A suspect fails as before. However often, that says nothing about the fleet; a new fault of the app does. */
function isKnownFault({ users }: ApiRequest, verdict: Verdict): boolean {
  const suspicion = users.length === 1 ? users[0]?.suspicion : undefined;
  if (!suspicion || verdict.class === 'done' || verdict.class === 'account' || verdict.class === 'body') {
    return false;
  }
  const isSame = suspicion.errorCode === verdict.errorCode && suspicion.httpStatus === verdict.httpStatus;
  return isSame || verdict.class === 'retry' || verdict.class === 'unknown';
}

function whoseFault(word: HoldWord): Whose {
  if (word === 'others-pass') return 'theirs';
  return word === 'lone' ? 'lone' : 'unknown';
}
