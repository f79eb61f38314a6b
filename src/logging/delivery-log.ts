import { type CallReport, countsOf, type DeliveryReport } from '../delivery/delivery-options.ts';
import { withoutUsers } from '../im/redact.ts';
import type { DeadEvent } from '../ledger/settle.ts';
import { atMostEvery } from './line-limit.ts';
import type { Logger } from './log.ts';

/** A line of one kind of trouble is repeated at most this often. */
const REPEAT_AFTER_MS = 10_000;

/** Logs what happens to calls: one line for each call and each change. User IDs appear at debug only. */
export function createDeliveryLog(log: Logger, onSettled: (returned: number) => unknown): DeliveryReport {
  const throttleLine = atMostEvery(REPEAT_AFTER_MS);
  const unknownIdsLine = atMostEvery(REPEAT_AFTER_MS);
  const leftLine = atMostEvery(REPEAT_AFTER_MS);
  return {
    called(call) {
      const { fields, sentence } = callLine(call);
      log.info(fields, sentence);
      const strangers = call.failAccounts.length - call.failed;
      if (strangers > 0) {
        unknownIdsLine(() =>
          log.warn(
            { callId: call.callId, strangers },
            'FailAccounts names users that the call did not hold: they are ignored',
          ),
        );
      }
      if (log.isLevelEnabled('debug'))
        log.debug({ callId: call.callId, userIds: userIdsOf(call) }, 'users of the call');
    },
    gaveUp(command, lateMs) {
      log.debug({ command, lateMs: Math.round(lateMs) }, 'slot given up');
    },
    settled(callId, { dead }, settled) {
      if (settled.kind === 'lost') return;
      logDead(log, callId, dead);
      if (settled.resolved > 0)
        log.info({ callId, resolved: settled.resolved }, 'dead letters resolved by newer imports');
      onSettled(settled.returned);
    },
    odd(callId, entries) {
      if (!log.isLevelEnabled('debug')) return;
      for (const { eventId, event, odd } of entries)
        log.debug({ callId, eventId, userId: event.userId, odd }, 'an event looks odd and is imported');
    },
    left(callId, format) {
      leftLine(() =>
        log.warn(
          { callId, format },
          'a call of another version is left for a worker that makes it; start one if none runs',
        ),
      );
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
  };
}

/**
 * The line of one call: a sentence with its counts, and the same counts as short fields. Names no user. Pure.
 */
export function callLine(call: CallReport): { readonly fields: object; readonly sentence: string } {
  const { request, verdict, answer } = call;
  const { imported, deadLettered, later, again } = countsOf(call);
  const users = userIdsOf(call);
  const errorInfo = withoutUsers(verdict.errorInfo, users);
  const fields = {
    callId: call.callId,
    command: request.command,
    class: call.slotClass,
    users: users.length,
    imported,
    ...(deadLettered > 0 && { deadLettered }),
    ...(later > 0 && { later }),
    ...(again > 0 && { again }),
    ...(call.tries > 0 && { tries: call.tries }),
    errorCode: verdict.errorCode,
    ...(verdict.class !== 'done' && { verdict: verdict.class, ...(errorInfo !== '' && { errorInfo }) }),
    ...(verdict.httpStatus !== 200 && verdict.httpStatus !== 0 && { httpStatus: verdict.httpStatus }),
    ms: Math.round(call.durationMs),
    ...(answer.kind === 'api' && answer.requestId !== undefined && { requestId: answer.requestId }),
  };
  const all = `${users.length} ${users.length === 1 ? 'user' : 'users'}`;
  const parts = [
    ...(later > 0 ? [`${later} to be retried`] : []),
    ...(again > 0 ? [`${again} to be sent again`] : []),
    ...(deadLettered > 0 ? [`${deadLettered} dead-lettered`] : []),
  ];
  if (verdict.class === 'done') {
    const counts = imported === users.length ? `imported ${all}` : `imported ${imported} of ${all}`;
    return { fields, sentence: [`call made: ${counts}`, ...parts].join(', ') };
  }
  const rest = parts.length === 0 ? '' : `; of ${all}: ${parts.join(', ')}`;
  return { fields, sentence: `call answered: ${verdict.meaning}${rest}` };
}

function userIdsOf({ request }: CallReport): string[] {
  return request.users.map(({ userId }) => userId);
}

/** One line for each reason and code of a call's dead letters. */
function logDead(log: Logger, callId: string, dead: readonly DeadEvent[]): void {
  const groups = new Map<string, { reason: string; errorCode: number; events: number }>();
  for (const { reason, code } of dead) {
    const group = groups.get(`${reason} ${code}`) ?? { reason, errorCode: code, events: 0 };
    group.events++;
    groups.set(`${reason} ${code}`, group);
  }
  for (const { reason, errorCode, events } of groups.values()) {
    log.warn(
      { callId, reason, ...(errorCode !== 0 && { errorCode }), events },
      `dead-lettered as ${reason}: ${events} ${events === 1 ? 'event' : 'events'}, see imsync dlq list`,
    );
  }
  if (!log.isLevelEnabled('debug')) return;
  for (const { eventId, userId } of dead)
    log.debug({ callId, eventId, userId }, 'event and user of a dead letter');
}
