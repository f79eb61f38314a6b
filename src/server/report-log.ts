import type { DeliveryReport } from '../delivery/deliver.ts';
import type { Logger } from './log.ts';

/** Lines of the same kind of trouble are not repeated within this. */
const REPEAT_AFTER_MS = 10_000;

/** Writes what happens to calls: one line a call, one line a change. User IDs only at debug. */
export function logReport(log: Logger, onSettled: (returned: number) => void): DeliveryReport {
  const throttleLine = seldom(REPEAT_AFTER_MS);
  const foreignLine = seldom(REPEAT_AFTER_MS);
  const strangerLine = seldom(REPEAT_AFTER_MS);
  return {
    called(call) {
      const { verdict } = call;
      const line = {
        callId: call.callId,
        command: call.command,
        class: call.slotClass,
        users: call.users.length,
        imported: call.imported,
        ...(call.deadLettered > 0 && { deadLettered: call.deadLettered }),
        ...(call.later > 0 && { retryLater: call.later }),
        ...(call.again > 0 && { callAgain: call.again }),
        ...(call.tries > 0 && { tries: call.tries }),
        errorCode: verdict.errorCode,
        ...(verdict.class !== 'done' && {
          verdict: verdict.class,
          errorInfo: verdict.errorInfo || verdict.meaning,
        }),
        ...(verdict.httpStatus !== 200 && { httpStatus: verdict.httpStatus }),
        ms: Math.round(call.durationMs),
        ...(call.requestId !== undefined && { requestId: call.requestId }),
      };
      log.info(line, verdict.class === 'done' ? 'call made' : `call answered: ${verdict.meaning}`);
      if (call.strangers > 0) {
        strangerLine(() =>
          log.warn(
            { callId: call.callId, strangers: call.strangers },
            'FailAccounts names users that the call did not hold: they are ignored',
          ),
        );
      }
      if (log.isLevelEnabled('debug'))
        log.debug({ callId: call.callId, userIds: call.users }, 'users of the call');
    },
    gaveUp(command, lateMs) {
      log.debug({ command, lateMs: Math.round(lateMs) }, 'slot given up');
    },
    settled(callId, settlement, settled) {
      if (settled.kind === 'lost') return;
      for (const { eventId, userId, reason, code } of settlement.dead) {
        log.warn({ callId, eventId, reason, errorCode: code }, 'event dead-lettered: see imsync dlq list');
        log.debug({ eventId, userId }, 'user of the dead letter');
      }
      if (settled.resolved > 0)
        log.info({ callId, resolved: settled.resolved }, 'dead letters resolved by newer imports');
      onSettled(settled.returned);
    },
    throttled(command, verdict, ratePerSecond) {
      throttleLine(() =>
        log.warn(
          { command, errorCode: verdict.errorCode, httpStatus: verdict.httpStatus, ratePerSecond },
          `the API says "too often": ${verdict.meaning}`,
        ),
      );
    },
    foreign(callId, format) {
      foreignLine(() =>
        log.warn(
          { callId, format },
          'a call record of another version is left for it; start that version if none runs',
        ),
      );
    },
  };
}

/** Lets a line through at most once in a while. */
export function seldom(everyMs: number): (write: () => void) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (write) => {
    const now = performance.now();
    if (now - lastMs < everyMs) return;
    lastMs = now;
    write();
  };
}
