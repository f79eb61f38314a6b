import type { Failing, HoldState, HoldWord } from '../hold/hold-state.ts';
import { withoutUsers } from '../im/redact.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import type { Chance } from './policy/chance.ts';
import type { Whose } from './policy/decision.ts';
import type { ApiRequest } from './policy/pending-user.ts';

/**
 * What an answer means for the whole fleet, before its call's users are decided on.
 * - `judge`: it says something about the users. `whose`: whose fault an unexplained failure seems to be.
 * - `passed`: accounts pass. Their settlement tells the fleet, unless `isTold`.
 * - `again`: it says nothing about the users. They wait for another slot, `afterMs` later, and no attempt is
 *   spent. `how`: as they are (`same`), with the failure noted (`failed`), or noted and with one user alone
 *   ahead of the others (`canary`), who tells a fault of these users from one of the app.
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
  readonly chance: Pick<Chance, keyof Chance>;
  readonly report: BreakerEvents;
}

export interface BreakerEvents {
  /** `ratePerSecond`: the shared rate from now on; null when it was lowered already. */
  throttled(command: ApiRequest['command'], verdict: Verdict, ratePerSecond: number | null): void;
}

/** The answer to one call. */
interface Heard {
  readonly request: ApiRequest;
  readonly verdict: Verdict;
  readonly slot: Slot;
  /** What the API said. It names no user: what holds the fleet is shown everywhere. */
  readonly words: { readonly errorCode: number; readonly errorInfo: string };
  readonly failing: Failing;
}

/** Failures of a suspect while others passed, after which no code of theirs is the app's. */
const PROVED_FAILURES = 3;

const HELD: ReadonlySet<HoldWord> = new Set<HoldWord>(['set', 'postponed', 'waiting', 'held']);
const NO_RECORD: Failing = { callId: '', failedAtMs: 0 };
const AGAIN: BreakerVerdict = { kind: 'again', how: 'same' };
const CANARY: BreakerVerdict = { kind: 'again', how: 'canary' };
/** While the rate adapts, a call may be refused this many times more than one that fails otherwise. */
const THROTTLES_MORE = 3;
/** Refusals in a row after which a canary tells whether everybody is refused. */
const THROTTLES_BEFORE_CANARY = 2;
/** The longest wait for one user's Retry-After while others pass. By then it shows whose it was. */
const MOST_OWN_WAIT_MS = 20_000;
/** One user's call says that no call can succeed, but others passed a moment ago. They show meanwhile. */
const OTHERS_SHOW_MS = 1_000;

/** Tells the fleet every answer of one run. */
export class BreakerReporter {
  readonly #options: BreakerOptions;
  readonly #callId: string;
  /** A signature that has expired is renewed once a run before it counts as a fault. */
  #hasSignedAnew = false;

  /** `callId`: the record of the run. */
  constructor(options: BreakerOptions, callId: string) {
    this.#options = options;
    this.#callId = callId;
  }

  /** `failed`: how many users of the request stand in FailAccounts. */
  async report(request: ApiRequest, verdict: Verdict, failed: number, slot: Slot): Promise<BreakerVerdict> {
    const { hold } = this.#options;
    const userIds = request.users.map(({ userId }) => userId);
    const errorInfo = withoutUsers(verdict.errorInfo, userIds) || verdict.meaning;
    const words = { errorCode: verdict.errorCode, errorInfo };
    const failing = { callId: this.#callId, failedAtMs: request.failedAtMs };
    const heard: Heard = { request, verdict, slot, words, failing };
    if (isKnownFault(request, verdict)) return this.#suspectFailed(heard);
    switch (verdict.class) {
      case 'throttle':
        return this.#throttled(heard);
      case 'app':
        return this.#blocked(heard);
      case 'done':
        // All of them failed: the API answers, but nothing proves that an account can pass.
        if (failed === userIds.length) return this.#refused(heard);
        if (slot.probe) await hold.success(slot, this.#callId);
        return { kind: 'passed', isTold: slot.probe };
      case 'retry': {
        const word = await hold.trouble(slot, words, failing, verdict.holdKind);
        if (HELD.has(word) && word !== 'set') return CANARY;
        return { kind: 'judge', whose: whoseFault(word) };
      }
      case 'account':
      case 'body':
      case 'unknown':
        return this.#refused(heard);
    }
  }

  /**
   * An answer to account_check says nothing about imports: an app may lack the permission to check, and
   * import all the same.
   */
  async reportCheck(verdict: Verdict, slot: Slot): Promise<BreakerVerdict> {
    const { hold, limiters } = this.#options;
    if (slot.probe) await hold.missed(slot);
    if (verdict.class === 'throttle')
      await limiters.account_check?.slots.throttle(slot, verdict.retryAfterMs ?? 0);
    return { kind: 'judge', whose: 'unknown' };
  }

  async #throttled({ request, verdict, slot, words, failing }: Heard): Promise<BreakerVerdict> {
    const { hold, limiters, chance, report } = this.#options;
    const { retryAfterMs = 0 } = verdict;
    const whose = slot.probe ? 'unknown' : whoseFault(await hold.compare(slot, failing));
    // If these users alone are refused again and again, it is not the rate. Retry-After was obeyed once.
    const patience = chance.splitAfter() + (retryAfterMs > 0 ? 0 : THROTTLES_MORE);
    if (whose === 'theirs' && request.failures + 1 >= patience) return { kind: 'judge', whose };
    // Refused once more while others pass: the rate was lowered for these users before.
    if (whose === 'theirs' && request.failures > 0) {
      report.throttled(request.command, verdict, null);
      return { kind: 'again', how: 'failed', afterMs: Math.min(retryAfterMs, MOST_OWN_WAIT_MS) };
    }
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

  async #blocked({ request, verdict, slot, words, failing }: Heard): Promise<BreakerVerdict> {
    const { hold, signAnew } = this.#options;
    if (verdict.signAnew && !this.#hasSignedAnew) {
      this.#hasSignedAnew = true;
      signAnew(slot.atLocalMs);
      if (slot.probe) await hold.missed(slot);
      return AGAIN;
    }
    const { holdKind: kind = 'configuration', minProbeGapMs } = verdict;
    const why = { ...words, kind, ...(minProbeGapMs !== undefined && { minProbeGapMs }) };
    const word = await hold.blocked(slot, why, failing);
    if (word === 'others-pass') return { kind: 'judge', whose: 'theirs' };
    if (HELD.has(word) || request.users.length > 1) return CANARY;
    return { kind: 'again', how: 'canary', afterMs: OTHERS_SHOW_MS };
  }

  /** An answer that speaks against all users of its call. */
  async #refused({ request, verdict, slot, words, failing }: Heard): Promise<BreakerVerdict> {
    // Users of a call that failed before were counted then: a few who are called repeatedly are not many.
    const isFirst = request.first && request.failures === 0;
    const isNews = isFirst || (request.users.length === 1 && request.users[0]?.inFailAccounts === true);
    // A code that names the account or the request says nothing of others, and nothing against suspects.
    const whoFails = verdict.class === 'unknown' ? failing : NO_RECORD;
    const word = await this.#options.hold.bad(slot, isNews ? request.users.length : 0, words, whoFails);
    return HELD.has(word) ? CANARY : { kind: 'judge', whose: whoseFault(word) };
  }

  async #suspectFailed({ request, slot, failing }: Heard): Promise<BreakerVerdict> {
    const isProved = (request.users[0]?.suspicion?.failures ?? 0) > 0;
    const word = await this.#options.hold.suspect(slot, failing, isProved);
    return HELD.has(word) ? AGAIN : { kind: 'judge', whose: whoseFault(word) };
  }
}

/**
 * A suspect fails as before. However often, that tells nothing of the fleet. A new fault of the app does, but
 * not from a user who failed so often while others passed: some faults answer with another code each time.
 */
function isKnownFault({ users }: ApiRequest, verdict: Verdict): boolean {
  const suspicion = users.length === 1 ? users[0]?.suspicion : undefined;
  if (!suspicion || verdict.class === 'done' || verdict.class === 'account' || verdict.class === 'body') {
    return false;
  }
  if (verdict.signAnew) return false;
  const isSame = suspicion.errorCode === verdict.errorCode && suspicion.httpStatus === verdict.httpStatus;
  return (
    isSame ||
    suspicion.failures >= PROVED_FAILURES ||
    verdict.class === 'retry' ||
    verdict.class === 'unknown'
  );
}

function whoseFault(word: HoldWord): Whose {
  if (word === 'others-pass') return 'theirs';
  return word === 'lone' ? 'lone' : 'unknown';
}
