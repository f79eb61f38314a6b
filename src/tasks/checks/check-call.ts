import { setTimeout as sleep } from 'node:timers/promises';
import { makeCall, type SlotReport } from '../../delivery/make-call.ts';
import { backoffMs } from '../../delivery/policy/backoff.ts';
import type { ApiAnswer } from '../../im/answers.ts';
import { encodeCheck } from '../../im/bodies.ts';
import type { ImClient } from '../../im/client.ts';
import { withoutUsers } from '../../im/redact.ts';
import { type Verdict, type VerdictOverrides, verdictOf } from '../../im/verdicts.ts';
import type { SlotClass } from '../../pace/budget.ts';
import type { HoldWatch } from '../../pace/hold/hold-watch.ts';
import type { CommandLimiter } from '../../pace/open-limiter.ts';
import { type Slot, type SlotClient, withoutRecord } from '../../pace/slot.ts';

/**
 * Checks cannot go on: no call has succeeded and none can at present, or the bound on failures is reached.
 */
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

export interface AccountChecksReport {
  /** A call failed and is made again after `waitMs`. Called for each failure. */
  again(verdict: Verdict, waitMs: number): void;
  /** A call succeeded. */
  answered(): void;
}

export interface CheckOptions {
  readonly client: ImClient;
  /** The limiter of account_check. `close` closes it. */
  readonly limiter: CommandLimiter;
  readonly watch: HoldWatch;
  readonly slotClass: SlotClass;
  /** The budgets that a throttle of all commands lowers besides that of `limiter`. */
  readonly otherSlots: readonly SlotClient[];
  readonly overrides: VerdictOverrides;
  /** Reads the secrets again and signs again. */
  readonly signAnew: () => void;
  /** Failures in a row of one call before it rejects. No bound by default. */
  readonly maxFailures?: number;
  readonly random: () => number;
  readonly report: AccountChecksReport;
}

/** A verdict about the users of one call, with the answer when the call succeeded. */
export interface CheckAnswer {
  readonly verdict: Verdict;
  readonly answer?: ApiAnswer;
}

/** Makes single calls of account_check. */
export interface CheckCaller {
  /**
   * Repeats a call until it has a verdict about its users. Transient failures, throttles and faults of the
   * app are waited out. Rejects with ChecksRefusedError or ChecksClosedError.
   */
  call(userIds: readonly string[]): Promise<CheckAnswer>;
  /** Waits `waitMs` before something is tried again, and reports it. Rejects with ChecksClosedError. */
  rest(verdict: Verdict, waitMs: number): Promise<void>;
  close(): void;
}

/** When so many calls in a row are refused, down to single accounts, the accounts are not the cause. */
const REFUSED_IN_ROW = 20;
export const CHECK_BACKOFF = { baseMs: 1_000, maxMs: 30_000 };
/**
 * Wait after a fault of the app: 4 s at first, then twice as long each time; jitter takes up to a half off.
 */
const APP_GAP = { baseMs: 4_000, maxMs: 60_000 };

export function createCheckCaller(options: CheckOptions): CheckCaller {
  const { client, limiter, watch, slotClass, otherSlots, overrides, signAnew, random, report } = options;
  const maxFailures = options.maxFailures ?? Number.POSITIVE_INFINITY;
  const closed = new AbortController();
  let succeeded = false;
  let refusedInRow = 0;
  const slotReport: SlotReport = {
    probing() {},
    missed: (slot) => limiter.slots.giveUp(slot),
  };

  const rest = async (verdict: Verdict, waitMs: number): Promise<void> => {
    report.again(verdict, waitMs);
    await sleep(waitMs, undefined, { signal: closed.signal }).catch(() => {
      throw new ChecksClosedError();
    });
  };

  /** One attempt: waits for a slot and sends. */
  const attempt = async (userIds: readonly string[]): Promise<{ slot: Slot } & CheckAnswer> => {
    const candidate = withoutRecord(slotClass);
    const placed = await makeCall(client, limiter, watch, candidate, encodeCheck(userIds), slotReport);
    // A call without a record cannot be lost to another run, so the queue was closed.
    if (placed.kind !== 'answered') throw new ChecksClosedError();
    const { slot, answer } = placed;
    const found = verdictOf('account_check', answer, overrides);
    const verdict = { ...found, errorInfo: withoutUsers(found.errorInfo, userIds) };
    return answer.kind === 'api' ? { slot, verdict, answer } : { slot, verdict };
  };

  const lowerRate = async (verdict: Verdict, slot: Slot): Promise<void> => {
    const budgets = verdict.throttles === 'all' ? [limiter.slots, ...otherSlots] : [limiter.slots];
    await Promise.all(budgets.map((slots) => slots.throttle(slot, verdict.retryAfterMs ?? 0)));
    report.again(verdict, 0);
  };

  const call = async (userIds: readonly string[]): Promise<CheckAnswer> => {
    let hasSignedAnew = false;
    for (let failures = 0; ; ) {
      const { slot, verdict, answer } = await attempt(userIds);
      switch (verdict.class) {
        case 'done':
          succeeded = true;
          refusedInRow = 0;
          report.answered();
          return answer === undefined ? { verdict } : { verdict, answer };
        case 'throttle':
          await lowerRate(verdict, slot);
          break;
        case 'retry':
          if (++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await rest(verdict, CHECK_BACKOFF.baseMs / 2 + backoffMs(failures - 1, CHECK_BACKOFF, random()));
          break;
        case 'app':
          signAnew();
          if (verdict.signAnew && !hasSignedAnew) {
            hasSignedAnew = true;
            break;
          }
          // Somebody started this process just now and can mend the fault. Later faults are waited out.
          if (!succeeded || ++failures > maxFailures) throw new ChecksRefusedError(verdict);
          await rest(verdict, Math.max(verdict.minProbeGapMs ?? 0, appGapMs(failures, random())));
          break;
        default:
          if (++refusedInRow >= REFUSED_IN_ROW) throw new ChecksRefusedError(verdict);
          return { verdict };
      }
    }
  };

  return {
    call,
    rest,
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

/** A verdict in words: `70003, the UserSig is illegal ("…")`. */
export function verdictWords({ errorCode, httpStatus, meaning, errorInfo }: Verdict): string {
  const code = errorCode !== 0 ? `${errorCode}, ` : httpStatus > 200 ? `HTTP ${httpStatus}, ` : '';
  return `${code}${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
}
