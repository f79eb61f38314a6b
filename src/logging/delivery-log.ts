import type { DeliveryReport } from '../delivery/delivery-report.ts';
import type { DeadEvent } from '../ledger/settle.ts';
import { callLine } from './call-line.ts';
import type { Logger } from './log.ts';

/** Lines of the same kind of trouble are not repeated within this. */
const REPEAT_AFTER_MS = 10_000;

/** Writes what happens to calls: one line a call, one line a change. User IDs only at debug. */
export function logReport(log: Logger, onSettled: (returned: number) => unknown): DeliveryReport {
  const throttleLine = seldom(REPEAT_AFTER_MS);
  const foreignLine = seldom(REPEAT_AFTER_MS);
  const strangerLine = seldom(REPEAT_AFTER_MS);
  return {
    called(call) {
      const { fields, sentence } = callLine(call);
      log.info(fields, sentence);
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
    settled(callId, { dead }, settled) {
      if (settled.kind === 'lost') return;
      for (const { reason, errorCode, events } of deadGroups(dead)) {
        log.warn(
          { callId, reason, ...(errorCode !== 0 && { errorCode }), events },
          `dead-lettered as ${reason}: ${events} ${events === 1 ? 'event' : 'events'}, see imsync dlq list`,
        );
      }
      if (log.isLevelEnabled('debug')) {
        for (const { eventId, userId } of dead)
          log.debug({ callId, eventId, userId }, 'event and user of a dead letter');
      }
      if (settled.resolved > 0)
        log.info({ callId, resolved: settled.resolved }, 'dead letters resolved by newer imports');
      onSettled(settled.returned);
    },
    throttled(command, { errorCode, httpStatus, meaning }, ratePerSecond) {
      throttleLine(() =>
        log.warn(
          {
            command,
            ...(errorCode === 0 ? { httpStatus } : { errorCode }),
            ...(ratePerSecond !== null && { ratePerSecond }),
          },
          `the API says "too often": ${meaning}; calls of ${command} slow down`,
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

function deadGroups(dead: readonly DeadEvent[]): { reason: string; errorCode: number; events: number }[] {
  const groups = new Map<string, { reason: string; errorCode: number; events: number }>();
  for (const { reason, code } of dead) {
    const group = groups.get(`${reason} ${code}`) ?? { reason, errorCode: code, events: 0 };
    group.events++;
    groups.set(`${reason} ${code}`, group);
  }
  return [...groups.values()];
}

/** Lets a line through at most once in a while. */
function seldom(everyMs: number): (write: () => void) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (write) => {
    const now = performance.now();
    if (now - lastMs < everyMs) return;
    lastMs = now;
    write();
  };
}
