import type { RunEnd } from '../calls/call-worker.ts';
import { verdictOf } from '../im/verdicts.ts';
import { type Attempt, attemptsOf, type CallRecord } from '../ledger/record.ts';
import type { Slot } from '../pace/slot.ts';
import { backoffMs, dueAtMs } from './backoff.ts';
import { hearCheck, whoIsThere } from './check.ts';
import { judgedIn } from './culprits.ts';
import { type Decision, decide, decideChecked } from './decide.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import { createFleetEar } from './fleet.ts';
import type { Step } from './lanes.ts';
import type { Line, Placed } from './place-call.ts';
import { scout } from './search.ts';
import type { Settler } from './settler.ts';
import type { Group, Unit } from './unit.ts';

/** What one answer changes: the fleet's hold, the record, and what its run does next. */
export type Learn = (
  group: Group,
  slotClass: string,
  placed: Extract<Placed, { kind: 'answered' }>,
  line: Line,
) => Promise<Step<Group, RunEnd>>;

/** One for each run. `untilLanded`: waits until a call of unknown outcome can no longer take effect. */
export function createLearner(
  options: DeliveryOptions,
  record: CallRecord,
  settler: Settler,
  untilLanded: (slot: Slot) => Promise<void>,
): Learn {
  const { callId } = record;
  const { commands, culprits } = options;
  const ear = createFleetEar(options);

  return async (group, slotClass, { answer, slot, durationMs }, line) => {
    const verdict = verdictOf(group.command, answer, options.overrides);
    const failAccounts = answer.kind === 'api' ? answer.failAccounts : [];
    const failed = group.units.filter(({ userId }) => failAccounts.includes(userId)).length;
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
    const checked = group.command === 'account_check';
    const heard = checked
      ? await hearCheck(options.hold, line, verdict, slot)
      : await ear.hear(group, verdict, failed, slot);
    if (heard === 'again' || heard === 'scout') {
      report(undefined);
      // Sent again and imported, the users would be let go while this call may still land.
      if (!verdict.outcomeKnown) await untilLanded(slot);
      return { again: heard === 'scout' ? scout(group, commands) : [group] };
    }

    settler.began(slot.atRedisMs, slot.heldMs);
    const kept = settler.kept();
    const attempt: Attempt = {
      at: Math.round(slot.atRedisMs),
      command: group.command,
      errorCode: verdict.errorCode,
      httpStatus: verdict.httpStatus,
    };
    // Only who does not end as imported is asked what was tried. A check imports nobody by itself.
    const isClean =
      !checked &&
      verdict.class === 'done' &&
      failed === 0 &&
      group.search === undefined &&
      group.units.every(isWhole);
    const tried: Group = isClean
      ? group
      : {
          ...group,
          units: group.units.map((unit) => ({ ...unit, attempts: [...unit.attempts, attempt] })),
        };
    const nowMs = slot.atRedisMs + durationMs;
    const waitedMs = nowMs - kept.firstSentAtMs - (slot.heldMs - kept.heldMsAtFirst);
    const earlier = attemptsOf(kept.attempts, group.units[0]?.userId ?? '');
    const decision = checked
      ? decideChecked(tried, whoIsThere(verdict, answer), commands)
      : decide(tried, verdict, failAccounts, {
          commands,
          onProfileFault: options.onProfileFault,
          sameAnswers: earlier.filter(
            ({ errorCode, httpStatus }) =>
              errorCode === verdict.errorCode && httpStatus === verdict.httpStatus,
          ).length,
          expired: waitedMs > options.retry.maxAgeMs,
          culpritShare: culprits.share(),
        });
    report(decision);
    const judged = judgedIn(tried, verdict, decision, commands);
    if (judged.innocent + judged.culprits > 0) culprits.saw(judged.innocent, judged.culprits);
    if (decision.later.length > 0) {
      const due = dueAtMs({
        nowMs,
        sentAtMs: slot.atRedisMs,
        outcomeKnown: verdict.outcomeKnown,
        delayMs: backoffMs(record.tries, options.retry, options.random()),
      });
      const [unit, ...others] = group.units;
      const isOfMany = unit !== undefined && others.length === 0 && settler.remaining().length > 1;
      settler.postpone(due, isOfMany ? { ...attempt, userId: unit.userId } : attempt);
    }
    // Users who are let go now may have a newer event waiting: it must not overtake this call.
    if (verdict.class === 'retry' && !verdict.outcomeKnown && decision.refused.length > 0) {
      await untilLanded(slot);
    }
    if (decision.imported.length + decision.refused.length + decision.later.length > 0) {
      // One that is lost is another run's work by now.
      const kind = await settler.settle({ command: group.command, proof: heard === 'proof', ...decision });
      if (kind === 'lost') return { end: { kind: 'finished' }, again: [] };
    }
    // What ails one call ails the next, so the rest of this run waits as well; a code that nobody knows may be
    // about its users alone.
    const isOver = decision.later.length > 0 && verdict.class === 'retry';
    return { again: decision.again, ...(isOver && { end: { kind: 'later', delayMs: 0 } }) };
  };
}

/** Imported as its event says, profile and all. */
function isWhole({ bare }: Unit): boolean {
  return bare === null;
}
