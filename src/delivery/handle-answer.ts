import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import type { VerdictClass } from '../im/verdict-rows.ts';
import { verdictOf } from '../im/verdicts.ts';
import { type Attempt, attemptsOf, type CallRecord } from '../ledger/record.ts';
import type { Slot } from '../pace/slot.ts';
import { createBreakerReporter } from './breaker.ts';
import { reportCheck, whoIsThere } from './check.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import type { Line, Placed } from './make-call.ts';
import { backoffMs, dueAtMs } from './policy/backoff.ts';
import { type Decision, decide, decideChecked, type Whose } from './policy/decide.ts';
import type { Group, Unit } from './policy/pending-user.ts';
import { bytesOf, canaryOf } from './policy/split.ts';
import { judgedIn } from './refusal-rate.ts';
import type { Step } from './run-concurrently.ts';
import type { Settler } from './settler.ts';

/** What one answer changes: the fleet's hold, the record, and what its run does next. */
export type HandleAnswer = (
  group: Group,
  slotClass: string,
  placed: Extract<Placed, { kind: 'answered' }>,
  line: Line,
) => Promise<Step<Group, RunEnd>>;

const MOST_SUSPECT_MS = 5_000;
/** A call for one account that succeeds and says that the account failed. */
const CONTRADICTION = {
  class: 'unknown',
  meaning: 'success, but the account stands in FailAccounts',
} as const;

/** One for each run. `untilLanded`: waits until a call of unknown outcome can no longer take effect. */
export function createAnswerHandler(
  options: DeliveryOptions,
  record: CallRecord,
  settler: Settler,
  untilLanded: (slot: Slot) => Promise<void>,
): HandleAnswer {
  const { callId } = record;
  const { commands, culprits, chance, bodyLimit } = options;
  const breaker = createBreakerReporter(options, callId, chance.splitAfter);

  /** A suspect whose fault does not pass is asked a bounded number of times, and soon: its user waits for the end. */
  const delayMs = (later: readonly Unit[], verdict: VerdictClass): number => {
    const { baseMs, maxMs } = options.retry;
    const failures = later[0]?.suspicion?.failures;
    return (verdict === 'unknown' || verdict === 'app') && failures !== undefined
      ? backoffMs(failures, { baseMs, maxMs: Math.min(maxMs, MOST_SUSPECT_MS) }, options.random())
      : backoffMs(record.tries, options.retry, options.random());
  };

  return async (group, slotClass, { answer, slot, durationMs }, line) => {
    const failAccounts = answer.kind === 'api' ? answer.failAccounts : [];
    const failed = group.units.filter(({ userId }) => failAccounts.includes(userId)).length;
    const told = verdictOf(group.command, answer, options.overrides);
    // There is no further call that could name a reason: to make this one again would go on for ever.
    const verdict =
      told.class === 'done' && group.command === commands.single && failed > 0
        ? { ...told, ...CONTRADICTION }
        : told;
    const report = (decision: Decision | undefined): void =>
      options.report.called({
        callId,
        command: group.command,
        slotClass,
        users: group.units.map(({ userId }) => userId),
        strangers: failAccounts.length - failed,
        tries: record.tries,
        verdict,
        fault: answer.kind === 'fault' ? answer.fault : undefined,
        durationMs,
        imported: decision?.imported.length ?? 0,
        deadLettered: decision?.refused.length ?? 0,
        later: decision?.later.length ?? 0,
        again: decision?.again.reduce((sum, { units }) => sum + units.length, 0) ?? group.units.length,
        requestId: answer.kind === 'api' ? answer.requestId : undefined,
      });
    const isCheck = group.command === 'account_check';
    const heard = isCheck
      ? await reportCheck(options.hold, line, verdict, slot)
      : await breaker.hear(group, verdict, failed, slot);
    if (heard.kind === 'again') {
      report(undefined);
      // Sent again and imported, the users would be let go while this call may still land.
      if (!verdict.outcomeKnown) await untilLanded(slot);
      if (heard.how === 'same') return { again: [group] };
      const next = { ...group, failures: group.failures + 1, failedAtMs: slot.atRedisMs };
      return { again: [heard.how === 'canary' ? canaryOf(next, commands) : next] };
    }
    const whose: Whose = heard.kind === 'judge' ? heard.whose : 'unknown';

    settler.began(slot.atRedisMs, slot.heldMs);
    const kept = settler.kept();
    const attempt: Attempt = {
      at: Math.round(slot.atRedisMs),
      command: group.command,
      errorCode: verdict.errorCode,
      httpStatus: verdict.httpStatus,
    };
    // Attempts are written down only for users who are not imported. A check imports nobody by itself.
    const isClean = !isCheck && verdict.class === 'done' && failed === 0 && group.units.every(isWhole);
    const tried: Group = isClean
      ? group
      : {
          ...group,
          units: group.units.map((unit) => ({ ...unit, attempts: [...unit.attempts, attempt] })),
        };
    const nowMs = slot.atRedisMs + durationMs;
    const waitedMs = nowMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const earlier = attemptsOf(kept.attempts, group.units[0]?.userId ?? '');
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
      chance.passed(failuresByChance(group));
      if (group.whole !== undefined && --group.whole.partsLeft === 0) bodyLimit.suspected(group.whole.bytes);
    }
    if (verdict.tooLarge) bodyLimit.refused(bytesOf(group, group.units, commands));
    if (decision.later.length > 0) {
      const due = dueAtMs({
        nowMs,
        sentAtMs: slot.atRedisMs,
        outcomeKnown: verdict.outcomeKnown,
        delayMs: delayMs(decision.later, verdict.class),
      });
      const [unit, ...others] = group.units;
      const isOfMany = unit !== undefined && others.length === 0 && settler.remaining().length > 1;
      settler.postpone(decision.later, due, isOfMany ? { ...attempt, userId: unit.userId } : attempt);
    }
    // Users who are let go now may have a newer event waiting: it must not overtake this call. Nor may what follows at once.
    const goesOn = decision.refused.length > 0 || decision.again.length > 0;
    if (verdict.class !== 'done' && !verdict.outcomeKnown && goesOn) await untilLanded(slot);
    if (decision.imported.length + decision.refused.length + decision.later.length > 0) {
      // One that is lost is another run's work by now.
      const kind = await settler.settle({
        command: group.command,
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
function isWhole({ bare }: Unit): boolean {
  return bare === null;
}

function isUnsuspected({ suspicion }: Unit): boolean {
  return suspicion === null;
}

/** Failures of just these users, while others passed, before they passed as well. Of a canary the others did not fail. */
function failuresByChance({ unluckyFailures, units, behind }: Group): number {
  if (behind !== undefined) return 0;
  return units[0]?.suspicion?.failures ?? unluckyFailures;
}
