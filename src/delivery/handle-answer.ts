import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import type { VerdictClass } from '../im/verdict-rows.ts';
import { verdictOf } from '../im/verdicts.ts';
import { type Attempt, attemptsOf, type CallRecord } from '../ledger/record.ts';
import type { CommandLimiter } from '../pace/open-limiter.ts';
import type { Slot } from '../pace/slot.ts';
import { createBreakerReporter } from './breaker.ts';
import { reportCheck, whoIsThere } from './check.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import type { Placed } from './make-call.ts';
import { backoffMs, dueAtMs } from './policy/backoff.ts';
import { type Decision, decide, decideChecked, type Whose } from './policy/decide.ts';
import type { ApiRequest, PendingUser, Whole } from './policy/pending-user.ts';
import { canaryOf } from './policy/split.ts';
import { judgedIn } from './refusal-rate.ts';
import type { Step } from './run-concurrently.ts';
import type { Settler } from './settler.ts';

/** What one answer changes: the fleet's hold, the record, and what its run does next. */
export type HandleAnswer = (
  request: ApiRequest,
  slotClass: string,
  placed: Extract<Placed, { kind: 'answered' }>,
  limiter: CommandLimiter,
) => Promise<Step<ApiRequest, RunEnd>>;

const MOST_SUSPECT_MS = 5_000;
/** A call that names nobody is split after two failures, and here nobody was the cause of them. */
const FAILURES_OF_A_WHOLE = 2;
/** A call for one account that succeeds and says that the account failed. */
const CONTRADICTION = {
  class: 'unknown',
  meaning: 'success, but the account stands in FailAccounts',
} as const;

/**
 * One for each run. `untilLanded`: waits until a call of unknown outcome can no longer take effect. `rest`: waits, but not
 * for a process that stops.
 */
export function createAnswerHandler(
  options: DeliveryOptions,
  record: CallRecord,
  settler: Settler,
  untilLanded: (slot: Slot) => Promise<void>,
  rest: (ms: number) => Promise<void>,
): HandleAnswer {
  const { callId } = record;
  const { commands, culprits, chance, bodyLimit } = options;
  const breaker = createBreakerReporter(options, callId, chance.splitAfter);

  /** A suspect whose fault does not pass is asked a bounded number of times, and soon: its user waits for the end. */
  const delayMs = (later: readonly PendingUser[], verdict: VerdictClass): number => {
    const { baseMs, maxMs } = options.retry;
    const failures = later[0]?.suspicion?.failures;
    return (verdict === 'unknown' || verdict === 'app') && failures !== undefined
      ? backoffMs(failures, { baseMs, maxMs: Math.min(maxMs, MOST_SUSPECT_MS) }, options.random())
      : backoffMs(record.tries, options.retry, options.random());
  };

  /** All parts of a call that failed have passed: its size was the fault, or chance. */
  const wholePassed = ({ bytes, wasTooLarge }: Whole): void => {
    if (wasTooLarge) bodyLimit.refused(bytes);
    else {
      bodyLimit.suspected(bytes);
      chance.passed(FAILURES_OF_A_WHOLE);
    }
  };

  return async (request, slotClass, { answer, slot, durationMs }, limiter) => {
    const failAccounts = answer.kind === 'api' ? answer.failAccounts : [];
    const failed = request.users.filter(({ userId }) => failAccounts.includes(userId)).length;
    const told = verdictOf(request.command, answer, options.overrides);
    // There is no further call that could name a reason: to make this one again would go on for ever.
    const verdict =
      told.class === 'done' && request.command === commands.single && failed > 0
        ? { ...told, ...CONTRADICTION }
        : told;
    const report = (decision: Decision | undefined): void =>
      options.report.called({
        callId,
        command: request.command,
        slotClass,
        users: request.users.map(({ userId }) => userId),
        strangers: failAccounts.length - failed,
        tries: record.tries,
        verdict,
        fault: answer.kind === 'fault' ? answer.fault : undefined,
        durationMs,
        imported: decision?.imported.length ?? 0,
        deadLettered: decision?.refused.length ?? 0,
        later: decision?.later.length ?? 0,
        again: decision?.again.reduce((sum, { users }) => sum + users.length, 0) ?? request.users.length,
        requestId: answer.kind === 'api' ? answer.requestId : undefined,
      });
    const isCheck = request.command === 'account_check';
    const heard = isCheck
      ? await reportCheck(options.hold, limiter, verdict, slot)
      : await breaker.hear(request, verdict, failed, slot);
    if (heard.kind === 'again') {
      report(undefined);
      // Sent again and imported, the users would be let go while this call may still land.
      if (!verdict.outcomeKnown) await untilLanded(slot);
      if (heard.afterMs !== undefined && heard.afterMs > 0) await rest(heard.afterMs);
      if (heard.how === 'same') return { again: [request] };
      const next = { ...request, failures: request.failures + 1, failedAtMs: slot.atRedisMs };
      return { again: [heard.how === 'canary' ? canaryOf(next, commands) : next] };
    }
    const whose: Whose = heard.kind === 'judge' ? heard.whose : 'unknown';

    settler.began(slot.atRedisMs, slot.heldMs);
    const kept = settler.kept();
    const attempt: Attempt = {
      at: Math.round(slot.atRedisMs),
      command: request.command,
      errorCode: verdict.errorCode,
      httpStatus: verdict.httpStatus,
    };
    // Attempts are written down only for users who are not imported. A check imports nobody by itself.
    const isClean = !isCheck && verdict.class === 'done' && failed === 0 && request.users.every(isWhole);
    const tried: ApiRequest = isClean
      ? request
      : {
          ...request,
          users: request.users.map((user) => ({ ...user, attempts: [...user.attempts, attempt] })),
        };
    const nowMs = slot.atRedisMs + durationMs;
    const waitedMs = nowMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const earlier = attemptsOf(kept.attempts, request.users[0]?.userId ?? '');
    const decision = isCheck
      ? decideChecked(tried, whoIsThere(verdict, answer), commands)
      : decide(tried, verdict, failAccounts, {
          commands,
          onProfileFault: options.onProfileFault,
          whose,
          splitAfter: chance.splitAfter(),
          endAfter: chance.endAfter(),
          startedAtMs: slot.atRedisMs,
          sameAnswers: earlier.filter(
            ({ errorCode, httpStatus }) =>
              errorCode === verdict.errorCode && httpStatus === verdict.httpStatus,
          ).length,
          expired: waitedMs > options.retry.maxAgeMs,
        });
    report(decision);
    const judged = judgedIn(tried, verdict, decision, commands);
    if (judged.innocent + judged.culprits > 0) culprits.saw(judged.innocent, judged.culprits);
    if (heard.kind === 'passed') {
      chance.passed(failuresByChance(request));
      if (request.whole !== undefined && --request.whole.partsLeft === 0) wholePassed(request.whole);
    }
    if (decision.later.length > 0) {
      const due = dueAtMs({
        nowMs,
        sentAtMs: slot.atRedisMs,
        outcomeKnown: verdict.outcomeKnown,
        delayMs: delayMs(decision.later, verdict.class),
      });
      const [user, ...others] = request.users;
      const isOfMany = user !== undefined && others.length === 0 && settler.remaining().length > 1;
      settler.postpone(decision.later, due, isOfMany ? { ...attempt, userId: user.userId } : attempt);
    }
    // Users who are let go now may have a newer event waiting: it must not overtake this call. Nor may what follows at once.
    const goesOn = decision.refused.length > 0 || decision.again.length > 0;
    if (verdict.class !== 'done' && !verdict.outcomeKnown && goesOn) await untilLanded(slot);
    if (decision.imported.length + decision.refused.length + decision.later.length > 0) {
      // One that is lost is another run's work by now.
      const kind = await settler.settle({
        command: request.command,
        passedAtMs: heard.kind === 'passed' && !heard.isTold ? slot.atRedisMs : 0,
        ...decision,
      });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    // A failure that may pass, and is not known to be of these users, postpones the whole record.
    const isOver = verdict.class === 'retry' && whose !== 'theirs' && decision.later.some(isUnsuspected);
    return { again: decision.again, ...(isOver && { end: { kind: 'later', delayMs: 0 } }) };
  };
}

/** Imported as its event says, profile and all. */
function isWhole({ bare }: PendingUser): boolean {
  return bare === null;
}

function isUnsuspected({ suspicion }: PendingUser): boolean {
  return suspicion === null;
}

/** Failures of just these users, while others passed, before they passed as well. Of a canary the others did not fail. */
function failuresByChance({ unluckyFailures, users, behind }: ApiRequest): number {
  if (behind !== undefined) return 0;
  return users[0]?.suspicion?.failures ?? unluckyFailures;
}
