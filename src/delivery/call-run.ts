import { performance } from 'node:perf_hooks';
import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import type { ParsedEntry, ValidEntry } from '../event/event.ts';
import { parseEntry } from '../event/fields.ts';
import { decodeCheck } from '../im/bodies.ts';
import { verdictOf } from '../im/verdicts.ts';
import { type Attempt, attemptsOf, type CallRecord, entriesOf } from '../ledger/record.ts';
import { settleRecord } from '../ledger/settle.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import type { SlotClass } from '../pace/budget.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import type { Release } from './admission.ts';
import { BreakerReporter, type BreakerVerdict } from './breaker.ts';
import { type CallReport, countsOf, type DeliveryOptions } from './delivery-options.ts';
import { learnFromAnswer } from './learn-from-answer.ts';
import { makeCall, type SlotReport } from './make-call.ts';
import { LANDING_MS, retryAtMs } from './policy/backoff.ts';
import { decide, decideChecked, preflight } from './policy/decide.ts';
import type { Decision, Whose } from './policy/decision.ts';
import {
  type ApiRequest,
  bodyOf,
  type PendingUser,
  pendingByUser,
  slotClassOf,
} from './policy/pending-user.ts';
import { canaryOf, firstRequests, released } from './policy/split.ts';
import { runConcurrently, type Step } from './run-concurrently.ts';
import { RunTraces } from './run-traces.ts';
import { Settler } from './settler.ts';

/** A record, and the run that owns it. */
export interface ClaimedRecord {
  readonly record: CallRecord;
  readonly run: string;
  /** When the newest call of the fleet that passed started, ms since 1970, Redis's clock; 0 for none. */
  readonly passedAtMs: number;
}

/** The answer to one request, and what it needs to be judged. */
interface Answered extends Omit<CallReport, 'callId' | 'tries' | 'decision'> {
  readonly slot: Slot;
  /** Names the span of this call, if it is traced and sampled. */
  readonly traceparent: string | undefined;
}

type NextStep = Step<ApiRequest, RunEnd>;

/** The run checks this often whether its process stops. */
const REST_LOOK_MS = 250;
/** A call for one account succeeds and says that the account failed. */
const CONTRADICTION = {
  class: 'unknown',
  meaning: 'success, but the account stands in FailAccounts',
} as const;
/** A check that failed settled nothing about anybody. */
const NO_NEWS: ReadonlyMap<string, boolean> = new Map();
const LOST: NextStep = { end: { kind: 'finished' }, again: [] };

/**
 * One run of a call record: it makes the calls that the record needs and settles what they answer.
 *
 *   entries → preflight → slot → POST → verdict → breaker → decide ─┬─▶ settled: imported, dead letters
 *      ▲                                                            ├─▶ again: further requests of this run
 *      └── the record, in its next run ◀──── postponed ◀────────────┘
 *
 * State: the settler knows which users are left and what the record keeps. `#callsOnWire` counts calls that
 * may still take effect: a settlement that keeps the record tells Redis, and a later run waits. The run ends
 * when no request is left, when the record is postponed, when another run owns it, or when its process stops.
 */
export class CallRun {
  readonly #options: DeliveryOptions;
  readonly #claimed: ClaimedRecord;
  readonly #release: Release;
  readonly #parsed: readonly ParsedEntry[];
  readonly #settler: Settler;
  readonly #breaker: BreakerReporter;
  readonly #traces: RunTraces | undefined;
  #callsOnWire = 0;
  /** Redis's clock less `performance.now()`, ms, by the newest slot. */
  #redisAheadMs = 0;

  /** `release`: gives back the place in the admission semaphore; the first slot does. */
  constructor(options: DeliveryOptions, claimed: ClaimedRecord, release: Release) {
    const { record, run } = claimed;
    this.#options = options;
    this.#claimed = claimed;
    this.#release = release;
    this.#parsed = entriesOf(record).map((raw) => parseEntry(raw, options.rules));
    this.#breaker = new BreakerReporter(options, record.callId);
    this.#traces = options.tracer && new RunTraces(options.tracer, record);
    this.#settler = new Settler({
      record,
      users: pendingByUser(
        this.#parsed.filter((entry) => entry.ok),
        record.suspects,
      ),
      isOnWire: () => this.#callsOnWire > 0,
      store: async (settlement) => {
        const { redis, keys, allOutcomes, report, tracer } = options;
        const settle = () => settleRecord(redis, keys, record.callId, run, settlement, allOutcomes);
        const settled = await (tracer === undefined ? settle() : tracer.settle(settle));
        if (settled.kind !== 'settled') return settled;
        report.settled(record.callId, settlement, settled);
        const { calls = [] } = settled;
        if (calls.length > 0) await options.handOver(record.command, calls);
        return settled;
      },
    });
  }

  /** Works the record off. Never throws for what the API answers; rejects when Redis fails. */
  async work(): Promise<RunEnd> {
    const invalid = this.#parsed.filter((entry) => !entry.ok);
    if ((await this.#settler.settleInvalid(invalid)) === 'lost') return { kind: 'finished' };
    const { record, passedAtMs } = this.#claimed;
    // Later runs of the record hold the same events.
    if (record.tries === 0) this.#reportOdd();
    const first = firstRequests(record, this.#settler.remaining, passedAtMs, this.#options.commands);
    const end = await runConcurrently<ApiRequest, RunEnd>(first, (request) => this.#step(request));
    if (end !== undefined && end.kind !== 'later') return end;
    const { dueAtMs: due } = this.#settler.kept;
    if (due === 0) return { kind: 'finished' };
    return { kind: 'later', delayMs: due - this.#redisAheadMs - performance.now() };
  }

  /** One call, from its slot to what follows from its answer. */
  async #step(planned: ApiRequest): Promise<NextStep> {
    const { commands, limiters, onProfileFault, overrides } = this.#options;
    const { users, refused } = preflight(planned.users, onProfileFault, commands.form);
    if (refused.length > 0) {
      const ended = { imported: [], refused, command: commands.single, passedAtMs: 0 };
      if ((await this.#settler.settle(ended)) === 'lost') return LOST;
    }
    if (users.length === 0) return { again: released(planned, commands) };
    const request: ApiRequest = { ...planned, users };
    const limiter = limiters[request.command];
    if (limiter === undefined)
      throw new RangeError(`this worker makes no calls of ${request.command}: a bug`);
    const slotClass = slotClassOf(request, this.#claimed.record);
    const askedAtMs = performance.now();
    const result = await this.#call(request, slotClass, limiter);
    if (result.kind === 'lost') return LOST;
    if (result.kind === 'closing') return { end: { kind: 'leave' }, again: [] };
    const { answer, slot, durationMs } = result;
    this.#redisAheadMs = slot.atRedisMs - slot.atLocalMs;
    const failAccounts = answer.kind === 'api' ? answer.failAccounts : [];
    const failed = users.filter(({ userId }) => failAccounts.includes(userId)).length;
    const heard = verdictOf(request.command, answer, overrides);
    // No further call could name a reason: the same call again would go on for ever.
    const contradicts = heard.class === 'done' && request.command === commands.single && failed > 0;
    const verdict = contradicts ? { ...heard, ...CONTRADICTION } : heard;
    const follow = (traceparent: string | undefined): Promise<NextStep> =>
      this.#conclude({
        request,
        slotClass,
        answer,
        slot,
        durationMs,
        verdict,
        failAccounts,
        failed,
        traceparent,
      });
    if (this.#traces === undefined) return follow(undefined);
    const fault = answer.kind === 'fault' ? answer.fault : undefined;
    return this.#traces.follow({ request, slotClass, verdict, fault, askedAtMs, durationMs }, follow);
  }

  /** Tells the fleet what a call was answered, and does what follows from it. */
  async #conclude(answered: Answered): Promise<NextStep> {
    const { request, verdict, failed, slot } = answered;
    const breaker =
      request.command === 'account_check'
        ? await this.#breaker.reportCheck(verdict, slot)
        : await this.#breaker.report(request, verdict, failed, slot);
    if (breaker.kind !== 'again') return this.#settle(answered, breaker);
    this.#report(answered, undefined);
    return this.#callAgain(answered, breaker);
  }

  async #call(request: ApiRequest, slotClass: SlotClass, limiter: CommandLimiter) {
    const { client, watch, commands } = this.#options;
    const candidate = { callId: this.#claimed.record.callId, run: this.#claimed.run, slotClass };
    this.#callsOnWire += 1;
    const body = bodyOf(request, commands.form);
    try {
      return await makeCall(client, limiter, watch, candidate, body, this.#slotReport(limiter));
    } finally {
      this.#callsOnWire -= 1;
    }
  }

  #slotReport({ command, slots }: CommandLimiter): SlotReport {
    const { hold, readSecretAnew, report } = this.#options;
    return {
      granted: this.#release,
      probing: readSecretAnew,
      // If this report fails, the time-out that follows tells the same.
      silent: (slot) => void hold.silent(slot).catch(() => undefined),
      missed: async (slot, lateMs, isConnected) => {
        report.gaveUp(command, lateMs);
        await slots.giveUp(slot);
        // Without a connection the probe has an answer all the same, and the breaker gets it.
        if (slot.probe && isConnected) await hold.missed(slot);
      },
    };
  }

  /** The answer says nothing about the users: they wait for another slot, and no attempt is spent. */
  async #callAgain(
    { request, verdict, slot, durationMs }: Answered,
    { how, afterMs = 0 }: Extract<BreakerVerdict, { kind: 'again' }>,
  ): Promise<NextStep> {
    // If the next call imported the users, they would be released while this one may still take effect.
    if (!verdict.outcomeKnown) await this.#untilLanded(slot);
    if (afterMs > 0) await this.#rest(afterMs);
    // Others of the record are due again when this run ends. One user must not keep it for a hold or a rate.
    const { dueAtMs: othersDueAtMs } = this.#settler.kept;
    const isAlone = request.users.length === 1 && request.behind === undefined;
    if (isAlone && othersDueAtMs > 0 && othersDueAtMs <= slot.atRedisMs + durationMs) return { again: [] };
    if (how === 'same') return { again: [request] };
    const next = { ...request, failures: request.failures + 1, failedAtMs: slot.atRedisMs };
    return { again: [how === 'canary' ? canaryOf(next, this.#options.commands) : next] };
  }

  /** The answer says something about the users: it is decided, settled, and followed by more calls. */
  async #settle(answered: Answered, breaker: Exclude<BreakerVerdict, { kind: 'again' }>): Promise<NextStep> {
    const { request, verdict, slot } = answered;
    const whose: Whose = breaker.kind === 'judge' ? breaker.whose : 'unknown';
    this.#settler.began(slot.atRedisMs, slot.heldMs);
    const attempt: Attempt = {
      at: Math.round(slot.atRedisMs),
      command: request.command,
      errorCode: verdict.errorCode,
      httpStatus: verdict.httpStatus,
      ...(answered.traceparent !== undefined && { traceparent: answered.traceparent }),
    };
    const decision = this.#decide(answered, whose, attempt);
    this.#report(answered, decision);
    learnFromAnswer(this.#options, { request, verdict, breaker, decision });
    if (decision.later.length > 0) this.#postpone(answered, decision.later, attempt, whose);
    // This call may still take effect. A newer event of a released user, or a request that follows, must not
    // overtake it.
    const goesOn = decision.refused.length > 0 || decision.again.length > 0;
    if (verdict.class !== 'done' && !verdict.outcomeKnown && goesOn) await this.#untilLanded(slot);
    if (decision.imported.length + decision.refused.length + decision.later.length > 0) {
      const kind = await this.#settler.settle({
        command: request.command,
        passedAtMs: breaker.kind === 'passed' && !breaker.isTold ? slot.atRedisMs : 0,
        ...decision,
      });
      if (kind === 'lost') return LOST;
    }
    // A transient failure postpones the whole record, unless it is known to be the fault of these users.
    const isOver =
      verdict.class === 'retry' &&
      whose !== 'theirs' &&
      decision.later.some(({ suspicion }) => suspicion === null);
    return { again: decision.again, ...(isOver && { end: { kind: 'later', delayMs: 0 } }) };
  }

  #decide(answered: Answered, whose: Whose, attempt: Attempt): Decision {
    const { request, verdict, slot, durationMs, answer, failAccounts } = answered;
    const { commands, chance, onProfileFault, retry } = this.#options;
    const users = request.users.map((user) => ({ ...user, attempts: [...user.attempts, attempt] }));
    const tried = { ...request, users };
    if (request.command === 'account_check') {
      const isThere = verdict.class === 'done' && answer.kind === 'api' ? decodeCheck(answer.body) : NO_NEWS;
      return decideChecked(tried, isThere, commands);
    }
    const kept = this.#settler.kept;
    const waitedMs = slot.atRedisMs + durationMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const earlier = attemptsOf(kept.attempts, request.users[0]?.userId ?? '');
    return decide(tried, verdict, failAccounts, {
      commands,
      onProfileFault,
      whose,
      splitAfter: chance.splitAfter(),
      endAfter: chance.endAfter(),
      startedAtMs: slot.atRedisMs,
      sameAnswers: earlier.filter(
        ({ errorCode, httpStatus }) => errorCode === verdict.errorCode && httpStatus === verdict.httpStatus,
      ).length,
      expired: waitedMs > retry.maxAgeMs,
    });
  }

  #postpone(
    { request, verdict, slot, durationMs }: Answered,
    later: readonly PendingUser[],
    attempt: Attempt,
    whose: Whose,
  ): void {
    const { retry, random } = this.#options;
    const due = retryAtMs({
      users: later,
      whose,
      verdict,
      tries: this.#claimed.record.tries,
      limits: retry,
      random: random(),
      sentAtMs: slot.atRedisMs,
      nowMs: slot.atRedisMs + durationMs,
    });
    const [user, ...others] = request.users;
    const isOfMany = user !== undefined && others.length === 0 && this.#settler.remaining.length > 1;
    this.#settler.postpone(later, due, isOfMany ? { ...attempt, userId: user.userId } : attempt);
  }

  #reportOdd(): void {
    const odd = this.#parsed.filter((entry) => entry.ok && entry.odd !== undefined) as ValidEntry[];
    if (odd.length > 0) this.#options.report.odd?.(this.#claimed.record.callId, odd);
  }

  #report(answered: Answered, decision: Decision | undefined): void {
    const { callId, tries } = this.#claimed.record;
    const call = { callId, tries, decision, ...answered };
    this.#options.tracer?.ended(countsOf(call));
    this.#options.report.called(call);
  }

  /** Waits until a call of unknown outcome can no longer take effect. Until then it counts as on the wire. */
  async #untilLanded(slot: Slot): Promise<void> {
    this.#callsOnWire += 1;
    await waitUntil(slot.atLocalMs + LANDING_MS);
    this.#callsOnWire -= 1;
  }

  /** Waits with nothing on the wire. A process that stops does not wait for it. */
  async #rest(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    while (!this.#options.admission.isClosed && performance.now() < endMs)
      await waitUntil(Math.min(endMs, performance.now() + REST_LOOK_MS));
  }
}
