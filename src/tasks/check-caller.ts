import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCall } from '../delivery/make-call.ts';
import { Chance } from '../delivery/policy/chance.ts';
import type { HoldWatch } from '../hold/hold-watch.ts';
import type { ApiAnswer } from '../im/answers.ts';
import { encodeCheck } from '../im/bodies.ts';
import type { ImClient } from '../im/client.ts';
import { withoutUsers } from '../im/redact.ts';
import { type Verdict, type VerdictOverrides, verdictOf } from '../im/verdicts.ts';
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

/** `close` was called. */
export class ChecksClosedError extends Error {
  override readonly name = 'ChecksClosedError';
}

export interface AccountChecksReport {
  /**
   * A call failed and is made again after `waitMs`. Called for each such failure. `othersPass`: calls for
   * other users succeed, as far as is known, so the fault may be that of the users in this call.
   */
  again(verdict: Verdict, waitMs: number, othersPass: boolean): void;
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
  /**
   * Failures in a row of one call before it rejects. No bound by default; then users whose calls fail while
   * those of others succeed are told apart.
   */
  readonly maxFailures?: number | undefined;
  readonly random: () => number;
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
/** A known account is asked for this often before everybody counts as refused: one answer may be chance. */
const PROOFS = 3;
const PROOF_GAP_MS = 500;
/** Several, and by turns: something may come to refuse one of them, too. */
const MAX_WITNESSES = 5;

/**
 * Makes the calls of account_check of a process, and knows whether calls succeed at present: whose fault a
 * failure is, others tell (decision 96).
 */
export class CheckCaller {
  readonly options: CheckOptions;
  /** How often calls fail by chance. */
  readonly chance = new Chance(() => performance.now());
  readonly #closed = new AbortController();
  readonly #onWire = new Set<Promise<unknown>>();
  /** Users whose call has succeeded, the latest ones. */
  readonly #witnesses: string[] = [];
  #turn = 0;
  #passedAtMs = Number.NEGATIVE_INFINITY;
  #proof: { readonly begunAtMs: number; readonly passes: Promise<boolean> } | undefined;
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

  get hasWitness(): boolean {
    return this.#witnesses.length > 0;
  }

  /** Waits for a slot and sends once. `isTrial`: it counts as on the wire before it has its slot. */
  async call(userIds: readonly string[], isTrial = false): Promise<CheckCall> {
    let done: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      done = resolve;
    });
    if (isTrial) this.#onWire.add(ended);
    try {
      return await this.#send(userIds, () => this.#onWire.add(ended));
    } finally {
      this.#onWire.delete(ended);
      done();
    }
  }

  async #send(userIds: readonly string[], granted: () => void): Promise<CheckCall> {
    const { client, limiter, watch, slotClass, overrides, signAnew, report } = this.options;
    const placed = await makeCall(client, limiter, watch, withoutRecord(slotClass), encodeCheck(userIds), {
      granted,
      probing() {},
      missed: (slot) => limiter.slots.giveUp(slot),
    });
    // A call without a record cannot be lost to another run, so the queue was closed.
    if (placed.kind !== 'answered') throw new ChecksClosedError();
    const { slot, answer } = placed;
    const found = verdictOf('account_check', answer, overrides);
    const verdict = { ...found, errorInfo: withoutUsers(found.errorInfo, userIds) };
    const call = { verdict, slot, startedAtMs: slot.atLocalMs };
    if (verdict.class === 'app') signAnew();
    if (verdict.class !== 'done' || answer.kind !== 'api') return call;
    this.#refusedInRow = 0;
    this.#passedAtMs = Math.max(this.#passedAtMs, call.startedAtMs);
    const [witness = ''] = userIds;
    if (!this.#witnesses.includes(witness) && this.#witnesses.push(witness) > MAX_WITNESSES)
      this.#witnesses.shift();
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
   * Asks for a user whose call succeeded before. All who want to know it at the same time share a call.
   * Resolves to false when there is no such user, too.
   */
  witnessPasses(sinceMs: number): Promise<boolean> {
    const running = this.#proof;
    if (running !== undefined && running.begunAtMs >= sinceMs) return running.passes;
    const proof = { begunAtMs: performance.now(), passes: this.#askWitness() };
    this.#proof = proof;
    const forget = (): void => {
      if (this.#proof === proof) this.#proof = undefined;
    };
    proof.passes.then(forget, forget);
    return proof.passes;
  }

  async #askWitness(): Promise<boolean> {
    const witness = this.#witnesses[this.#turn++ % Math.max(1, this.#witnesses.length)];
    if (witness === undefined) return false;
    const call = await this.call([witness], true);
    if (call.verdict.class === 'throttle') await this.lowerRate(call);
    return call.verdict.class === 'done';
  }

  /** Resolves when the calls have ended that are on the wire now. */
  async othersEnded(): Promise<void> {
    await Promise.all(this.#onWire);
  }

  /**
   * Counts a single account that the API refused. Rejects with ChecksRefusedError when there are many in a
   * row, and known accounts are refused, too.
   */
  async refusedAlone(verdict: Verdict): Promise<void> {
    if (++this.#refusedInRow < REFUSED_IN_ROW) return;
    const sinceMs = performance.now();
    for (let proofs = 0; this.hasWitness && proofs < PROOFS; proofs++) {
      if (proofs > 0) await this.rest(verdict, PROOF_GAP_MS);
      if (this.passedSince(sinceMs) || (await this.witnessPasses(sinceMs))) return;
    }
    throw new ChecksRefusedError(verdict);
  }

  /** Waits `waitMs` before something is tried again, and reports it. Rejects with ChecksClosedError. */
  async rest(verdict: Verdict, waitMs: number, othersPass = false): Promise<void> {
    this.options.report.again(verdict, waitMs, othersPass);
    await sleep(waitMs, undefined, { signal: this.#closed.signal }).catch(() => {
      throw new ChecksClosedError();
    });
  }

  close(): void {
    this.#closed.abort();
    this.options.limiter.slotQueue.close();
  }
}

/** A verdict in words: `70003, the UserSig is illegal ("…")`. */
export function verdictWords({ errorCode, httpStatus, meaning, errorInfo }: Verdict): string {
  const code = errorCode !== 0 ? `${errorCode}, ` : httpStatus > 200 ? `HTTP ${httpStatus}, ` : '';
  return `${code}${meaning}${errorInfo === '' ? '' : ` ("${errorInfo}")`}`;
}
