import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeliveryOptions } from '../delivery/delivery-options.ts';
import { makeCall } from '../delivery/make-call.ts';
import { backoffMs } from '../delivery/policy/backoff.ts';
import { Chance } from '../delivery/policy/chance.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, verdictOf } from '../im/verdicts.ts';
import type { SlotClass } from '../pace/budget.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import { type Slot, type SlotClient, withoutRecord } from '../pace/slot.ts';

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

export interface AccountChecksReport {
  /**
   * A call failed and is made again after a wait. `othersPass`: calls for other users succeed, as far as is
   * known, so the fault may be that of the users in this call.
   */
  again(verdict: Verdict, othersPass: boolean): void;
  /** A call succeeded. */
  answered(): void;
}

export interface CheckOptions extends Pick<DeliveryOptions, 'watch' | 'overrides' | 'random'> {
  readonly client: ImClient;
  /** The limiter of account_check. `close` closes it. */
  readonly limiter: CommandLimiter;
  readonly slotClass: SlotClass;
  /** The budgets that a throttle of all commands lowers besides that of `limiter`. */
  readonly otherSlots: readonly SlotClient[];
  /** Reads the secrets again and signs again. */
  readonly signAnew: () => void;
  /**
   * Failures in a row of one call before it rejects. No bound by default; then users whose calls fail while
   * those of others succeed are told apart.
   */
  readonly maxFailures?: number | undefined;
  readonly report: AccountChecksReport;
}

/** One call of account_check, and what came of it. */
export interface CheckCall {
  readonly verdict: Verdict;
  /** Set when the call succeeded. */
  readonly answer?: ApiAnswer;
  readonly slot: Slot;
  /** On `performance.now()`. */
  readonly startedAtMs: number;
}

/** When so many single accounts in a row are refused, the accounts may not be the cause. */
const REFUSED_IN_ROW = 20;
/** Nobody is asked for this often before everybody counts as refused: one answer may be chance. */
const PROOFS = 3;
/** While nobody passes. Short at first: it is one call for all who wait. */
const PROOF_GAP = { baseMs: 1_000, maxMs: 59_500 };

/**
 * Makes the calls of account_check of a process, and knows whether calls succeed at present: whose fault a
 * failure is, others tell (decision 96). If no other call tells, one for an ID that nobody has does.
 */
export class CheckCaller {
  readonly options: CheckOptions;
  /** How often calls fail by chance. */
  readonly chance = new Chance(() => performance.now());
  readonly #closed = new AbortController();
  /** When the newest call started that succeeded. */
  #passedAtMs = Number.NEGATIVE_INFINITY;
  #proof: Promise<boolean> | undefined;
  #failedProofs = 0;
  #refusedInRow = 0;

  constructor(options: CheckOptions) {
    this.options = options;
    // Any number of calls may wait at the same time.
    setMaxListeners(0, this.#closed.signal);
  }

  /** A call that started at `sinceMs` or later has succeeded. */
  passedSince(sinceMs: number): boolean {
    return this.#passedAtMs >= sinceMs;
  }

  /** Some call has succeeded. */
  get hasPassed(): boolean {
    return this.#passedAtMs > Number.NEGATIVE_INFINITY;
  }

  /** Waits for a slot and sends once. Rejects with AbortError. */
  async call(userIds: readonly string[]): Promise<CheckCall> {
    const { client, limiter, watch, slotClass, overrides, signAnew, report } = this.options;
    const placed = await makeCall(client, limiter, watch, withoutRecord(slotClass), encodeCheck(userIds), {
      probing() {},
      missed: (slot) => limiter.slots.giveUp(slot),
    });
    // A call without a record cannot be lost to another run, so the queue was closed.
    if (placed.kind !== 'answered') throw this.#closed.signal.reason;
    const { slot, answer } = placed;
    const found = verdictOf('account_check', answer, overrides);
    const verdict = { ...found, errorInfo: withoutUsers(found.errorInfo, userIds) };
    const call = { verdict, slot, startedAtMs: slot.atLocalMs };
    if (verdict.class === 'app') signAnew();
    if (verdict.class !== 'done' || answer.kind !== 'api') return call;
    this.#refusedInRow = 0;
    this.#failedProofs = 0;
    this.#passedAtMs = Math.max(this.#passedAtMs, call.startedAtMs);
    report.answered();
    return { ...call, answer };
  }

  /** Lowers the rate that a throttle is about. */
  async lowerRate({ verdict, slot }: CheckCall): Promise<void> {
    const { limiter, otherSlots } = this.options;
    const budgets = verdict.throttles === 'all' ? [limiter.slots, ...otherSlots] : [limiter.slots];
    await Promise.all(budgets.map((slots) => slots.throttle(slot, verdict.retryAfterMs ?? 0)));
  }

  /**
   * Whether others pass while this call failed. If nobody does, it waits until somebody does, and resolves
   * to false. Rejects with ChecksRefusedError when no call has succeeded yet because of a fault of the app.
   */
  async othersPass({ verdict, startedAtMs }: CheckCall): Promise<boolean> {
    let pass = true;
    // A proof that others began may be older than the call. Then it tells only that nobody passes.
    while (!this.passedSince(startedAtMs)) if (!(await this.#prove(verdict))) pass = false;
    return pass;
  }

  /** Whether a call for nobody passes. All who want to know it at the same time share one. */
  #prove(verdict: Verdict): Promise<boolean> {
    this.#proof ??= this.#askForNobody(verdict).finally(() => {
      this.#proof = undefined;
    });
    return this.#proof;
  }

  async #askForNobody(verdict: Verdict): Promise<boolean> {
    const { random } = this.options;
    if (this.#failedProofs > 0) {
      const waitMs = PROOF_GAP.baseMs / 2 + backoffMs(this.#failedProofs, PROOF_GAP, random());
      await this.rest(verdict, Math.max(verdict.minProbeGapMs ?? 0, waitMs));
    }
    const call = await this.call([`imsync-check-${Math.floor(random() * 0x1_0000_0000).toString(36)}`]);
    if (call.answer !== undefined) return true;
    if (call.verdict.class === 'throttle') await this.lowerRate(call);
    // Somebody started this process just now and can mend a fault of the app. Later ones are waited out.
    if (call.verdict.class === 'app' && !this.hasPassed) throw new ChecksRefusedError(call.verdict);
    this.#failedProofs++;
    return false;
  }

  /**
   * Counts a single account that the API refused. Rejects with ChecksRefusedError when there are many in a
   * row, and nobody else passes.
   */
  async refusedAlone(verdict: Verdict): Promise<void> {
    if (++this.#refusedInRow < REFUSED_IN_ROW) return;
    for (let proofs = 0; proofs < PROOFS; proofs++) if (await this.#prove(verdict)) return;
    throw new ChecksRefusedError(verdict);
  }

  /** Waits `waitMs` before something is tried again, and reports it. Rejects with AbortError. */
  async rest(verdict: Verdict, waitMs: number, othersPass = false): Promise<void> {
    this.options.report.again(verdict, othersPass);
    await sleep(waitMs, undefined, { signal: this.#closed.signal });
  }

  close(): void {
    this.#closed.abort();
    this.options.limiter.slotQueue.close();
    // Nobody needs the answer of a call that is still on the wire.
    this.options.client.close();
  }
}

/** A verdict in words: `70003, the UserSig is illegal ("…")`. */
export function verdictWords({ errorCode, httpStatus, meaning, errorInfo }: Verdict): string {
  const code = errorCode !== 0 ? `${errorCode}, ` : httpStatus > 200 ? `HTTP ${httpStatus}, ` : '';
  return `${code}${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
}
