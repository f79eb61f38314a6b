import type { RunEnd } from '../../../src/calls/bullmq/call-worker.ts';
import { BreakerReporter } from '../../../src/delivery/breaker.ts';
import type { DeliveryOptions } from '../../../src/delivery/delivery-options.ts';
import { learnFromAnswer } from '../../../src/delivery/learn-from-answer.ts';
import { LANDING_MS, retryAtMs } from '../../../src/delivery/policy/backoff.ts';
import { decide } from '../../../src/delivery/policy/decide.ts';
import { type ApiRequest, pendingByUser, slotClassOf } from '../../../src/delivery/policy/pending-user.ts';
import { canaryOf, firstRequests } from '../../../src/delivery/policy/split.ts';
import { runConcurrently, type Step } from '../../../src/delivery/run-concurrently.ts';
import { Settler } from '../../../src/delivery/settler.ts';
import { parseEntry } from '../../../src/event/fields.ts';
import type { Answer } from '../../../src/im/answers.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';
import { attemptsOf, type CallRecord, entriesOf } from '../../../src/ledger/record.ts';
import type { Settlement } from '../../../src/ledger/settle.ts';
import type { SlotClass } from '../../../src/pace/budget.ts';
import type { Slot } from '../../../src/pace/slot.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A call that was made. */
export interface Made {
  readonly slot: Slot;
  readonly answer: Answer;
  readonly durationMs: number;
}

type NextStep = Step<ApiRequest, RunEnd>;

/**
 * One run of a record, as call-run.ts has it, in virtual time: from a request to its slot, its answer, and what follows. All that
 * is worked out about an answer is the project's own. FailAccounts and profiles that are too long do not occur.
 */
export async function runRecord(
  options: DeliveryOptions,
  { record, passedAtMs }: { readonly record: CallRecord; readonly passedAtMs: number },
  time: VirtualTime,
  makeCall: (request: ApiRequest, slotClass: SlotClass) => Promise<Made>,
  onSettled: (settlement: Settlement) => void,
): Promise<void> {
  const { commands, retry, chance, onProfileFault, random } = options;
  const breaker = new BreakerReporter(options, record.callId);
  const parsed = entriesOf(record).map((raw) => parseEntry(raw, { adminId: 'administrator' }));
  const settler = new Settler({
    record,
    users: pendingByUser(
      parsed.filter((entry) => entry.ok),
      record.suspects,
    ),
    isOnWire: () => false,
    store: async (settlement) => {
      onSettled(settlement);
      return { kind: 'settled', returned: 0, resolved: 0, nowMs: time.nowMs };
    },
  });

  const step = async (request: ApiRequest): Promise<NextStep> => {
    const { slot, answer, durationMs } = await makeCall(request, slotClassOf(request, record));
    const verdict = verdictOf(request.command, answer);
    const nowMs = slot.atRedisMs + durationMs;
    const untilLanded = (): Promise<void> => time.until(slot.atLocalMs + LANDING_MS);
    const heard = await breaker.report(request, verdict, 0, slot);
    if (heard.kind === 'again') {
      if (!verdict.outcomeKnown) await untilLanded();
      if (heard.afterMs) await time.until(time.nowMs + heard.afterMs);
      const { dueAtMs: othersDueAtMs } = settler.kept;
      const isAlone = request.users.length === 1 && request.behind === undefined;
      if (isAlone && othersDueAtMs > 0 && othersDueAtMs <= nowMs) return { again: [] };
      if (heard.how === 'same') return { again: [request] };
      const next = { ...request, failures: request.failures + 1, failedAtMs: slot.atRedisMs };
      return { again: [heard.how === 'canary' ? canaryOf(next, commands) : next] };
    }
    const whose = heard.kind === 'judge' ? heard.whose : 'unknown';
    settler.began(slot.atRedisMs, slot.heldMs);
    const kept = settler.kept;
    const { errorCode, httpStatus } = verdict;
    const attempt = { at: Math.round(slot.atRedisMs), command: request.command, errorCode, httpStatus };
    const earlier = attemptsOf(kept.attempts, request.users[0]?.userId ?? '');
    const waitedMs = nowMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const decision = decide(request, verdict, [], {
      ...{ commands, onProfileFault, whose },
      splitAfter: chance.splitAfter(),
      endAfter: chance.endAfter(),
      startedAtMs: slot.atRedisMs,
      sameAnswers: earlier.filter((one) => one.errorCode === errorCode && one.httpStatus === httpStatus)
        .length,
      expired: waitedMs > retry.maxAgeMs,
    });
    learnFromAnswer(options, { request, verdict, breaker: heard, decision });
    const { again, later, refused, imported } = decision;
    if (later.length > 0) {
      const due = retryAtMs({
        ...{ users: later, whose, verdict, tries: record.tries, limits: retry, random: random() },
        ...{ sentAtMs: slot.atRedisMs, nowMs },
      });
      const [user, ...others] = request.users;
      const isOfMany = user !== undefined && others.length === 0 && settler.remaining.length > 1;
      settler.postpone(later, due, isOfMany ? { ...attempt, userId: user.userId } : attempt);
    }
    if (verdict.class !== 'done' && !verdict.outcomeKnown && refused.length + again.length > 0)
      await untilLanded();
    if (imported.length + refused.length + later.length > 0) {
      const isNews = heard.kind === 'passed' && !heard.isTold;
      await settler.settle({
        command: request.command,
        passedAtMs: isNews ? slot.atRedisMs : 0,
        ...decision,
      });
    }
    const isOver =
      verdict.class === 'retry' && whose !== 'theirs' && later.some(({ suspicion }) => suspicion === null);
    return { again, ...(isOver && { end: { kind: 'later', delayMs: 0 } }) };
  };
  await runConcurrently(firstRequests(record, settler.remaining, passedAtMs, commands), step);
}
