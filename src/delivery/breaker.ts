import { withoutUsers } from '../im/redact.ts';
import type { Verdict } from '../im/verdicts.ts';
import type { HoldState, HoldWord } from '../pace/hold/hold-state.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import type { Whose } from './policy/decision.ts';
import type { ApiRequest } from './policy/pending-user.ts';

/**
 * What a call's answer means for the whole fleet, before it is asked what it means for the call's users.
 * - `judge`: it says something about the users; of a failure that no code explains, with whose fault it seems to be.
 * - `passed`: accounts pass. Their settlement tells the fleet, unless `isTold`.
 * - `again`: it says nothing about them: the same users wait for another slot, and no attempt is spent. `how`: as they are
 *   (`same`), with the failure noted (`failed`), or with one of them ahead alone as well (`canary`), to tell a fault of
 *   these users from one of the app. `afterMs`: these users wait so long before.
 */
export type BreakerVerdict =
  | { readonly kind: 'judge'; readonly whose: Whose }
  | { readonly kind: 'passed'; readonly isTold: boolean }
  | { readonly kind: 'again'; readonly how: 'same' | 'failed' | 'canary'; readonly afterMs?: number };

/** Hears every answer of one run. */
export interface BreakerReporter {
  /** `failed`: users of the request who stand in FailAccounts. */
  report(request: ApiRequest, verdict: Verdict, failed: number, slot: Slot): Promise<BreakerVerdict>;
}

export interface BreakerOptions {
  readonly hold: HoldState;
  readonly limiters: Readonly<Partial<Record<ApiRequest['command'], CommandLimiter>>>;
  /** The UserSig has expired: makes it anew, by another clock if this machine's may be wrong. */
  readonly signAnew: (sentAtMs: number) => void;
  readonly report: BreakerEvents;
}

export interface BreakerEvents {
  /** `ratePerSecond`: the shared rate from now on; null when it was lowered already. */
  throttled(command: ApiRequest['command'], verdict: Verdict, ratePerSecond: number | null): void;
}

const HELD: ReadonlySet<HoldWord> = new Set<HoldWord>(['set', 'postponed', 'waiting', 'held']);

function usersOf({ users }: ApiRequest): string[] {
  return users.map(({ userId }) => userId);
}

interface Answered {
  readonly errorCode: number;
  readonly errorInfo: string;
}

const AGAIN: BreakerVerdict = { kind: 'again', how: 'same' };
const CANARY: BreakerVerdict = { kind: 'again', how: 'canary' };
/** While the rate adapts a call may be refused some more times than others are. */
const THROTTLES_MORE = 3;
/** Refusals in a row after which a canary tells whether everybody is refused. */
const THROTTLES_BEFORE_CANARY = 2;
/** One user's Retry-After, while others pass: after so long the others have shown whether it is for everybody. */
const MOST_OWN_WAIT_MS = 20_000;
/** One user's call says that no call can succeed, and others passed a moment ago: they show meanwhile. */
const OTHERS_SHOW_MS = 1_000;

/**
 * One for each run: a signature that expired is made anew once a run before it counts. `callId`: its record.
 * `splitAfter`: see DecisionPolicy.
 */
export function createBreakerReporter(
  { hold, limiters, signAnew, report }: BreakerOptions,
  callId: string,
  splitAfter: () => number,
): BreakerReporter {
  let signedAnew = false;
  const failing = ({ failedAtMs }: ApiRequest) => ({ callId, failedAtMs });

  const throttled = async (
    request: ApiRequest,
    verdict: Verdict,
    answer: Answered,
    slot: Slot,
  ): Promise<BreakerVerdict> => {
    const { retryAfterMs = 0 } = verdict;
    const whose = slot.probe ? 'unknown' : whoseFault(await hold.compare(slot, failing(request)));
    // Too often for these users alone, again and again, is no matter of the rate. Retry-After was obeyed once.
    const patience = splitAfter() + (retryAfterMs > 0 ? 0 : THROTTLES_MORE);
    if (whose === 'theirs' && request.failures + 1 >= patience) return { kind: 'judge', whose };
    // Others passed of late: until a second call is refused, Retry-After is for these users alone.
    const isOwn = whose !== 'unknown';
    const all = verdict.throttles === 'all' ? Object.values(limiters) : [limiters[request.command]];
    const rates = await Promise.all(
      all.map((limiter) => limiter?.slots.throttle(slot, isOwn ? 0 : retryAfterMs) ?? null),
    );
    report.throttled(request.command, verdict, rates.find((rate) => rate !== null) ?? null);
    if (slot.probe) await hold.trouble(slot, answer, failing(request));
    return {
      kind: 'again',
      how: request.failures + 1 >= THROTTLES_BEFORE_CANARY ? 'canary' : 'failed',
      afterMs: isOwn ? Math.min(retryAfterMs, MOST_OWN_WAIT_MS) : 0,
    };
  };

  const blocked = async (
    request: ApiRequest,
    verdict: Verdict,
    errorInfo: string,
    slot: Slot,
  ): Promise<BreakerVerdict> => {
    if (verdict.signAnew && !signedAnew) {
      signedAnew = true;
      signAnew(slot.atLocalMs);
      if (slot.probe) await hold.missed(slot);
      return AGAIN;
    }
    const { errorCode, holdKind = 'configuration', minProbeGapMs } = verdict;
    const why = {
      errorCode,
      errorInfo,
      kind: holdKind,
      ...(minProbeGapMs !== undefined && { minProbeGapMs }),
    };
    const word = await hold.blocked(slot, why, failing(request));
    if (word === 'others-pass') return { kind: 'judge', whose: 'theirs' };
    if (HELD.has(word) || request.users.length > 1) return CANARY;
    return { kind: 'again', how: 'canary', afterMs: OTHERS_SHOW_MS };
  };

  /** An answer that speaks against all of its users: what it newly says of them counts, splits do not. */
  const refused = async (
    request: ApiRequest,
    slot: Slot,
    answer: Answered,
    isExplained: boolean,
  ): Promise<BreakerVerdict> => {
    // Users of a call that failed before were counted then: a few who are called again and again are not many.
    const isFirst = request.first && request.failures === 0;
    const isNews = isFirst || (request.users.length === 1 && request.users[0]?.failed === true);
    // A code that names the account or the request says nothing of others, and nothing against suspects.
    const whoFails = isExplained ? { callId: '', failedAtMs: 0 } : failing(request);
    const word = await hold.bad(slot, isNews ? request.users.length : 0, answer, whoFails);
    return HELD.has(word) ? CANARY : { kind: 'judge', whose: whoseFault(word) };
  };

  const suspectFailed = async (request: ApiRequest, slot: Slot): Promise<BreakerVerdict> => {
    const proved = (request.users[0]?.suspicion?.failures ?? 0) > 0;
    const word = await hold.suspect(slot, failing(request), proved);
    return HELD.has(word) ? AGAIN : { kind: 'judge', whose: whoseFault(word) };
  };

  return {
    async report(request, verdict, failed, slot) {
      // What holds the fleet is shown everywhere: it must not name the users of the call that told it.
      const errorInfo =
        (verdict.errorInfo !== '' && withoutUsers(verdict.errorInfo, usersOf(request))) || verdict.meaning;
      const answer = { errorCode: verdict.errorCode, errorInfo };
      if (isKnownFault(request, verdict)) return suspectFailed(request, slot);
      switch (verdict.class) {
        case 'throttle':
          return throttled(request, verdict, answer, slot);
        case 'app':
          return blocked(request, verdict, errorInfo, slot);
        case 'done':
          // All of them failed: the API answers, but nothing proves that an account can pass.
          if (failed === request.users.length) return refused(request, slot, answer, true);
          if (slot.probe) await hold.success(slot, callId);
          return { kind: 'passed', isTold: slot.probe };
        case 'retry': {
          const word = await hold.trouble(slot, answer, failing(request));
          if (HELD.has(word) && word !== 'set') return CANARY;
          return { kind: 'judge', whose: whoseFault(word) };
        }
        case 'account':
        case 'body':
          return refused(request, slot, answer, true);
        case 'unknown':
          return refused(request, slot, answer, false);
      }
    },
  };
}

/** A suspect fails as before: that says nothing about the fleet, however often. A new fault of the app does. */
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
