import type { CallReport } from '../delivery/delivery-report.ts';
import { withoutUsers } from '../im/redact.ts';

/** The one line of a call: a sentence with its counts, and the same as short fields. Names no user. Pure. */
export function callLine(call: CallReport): { readonly fields: object; readonly sentence: string } {
  const { verdict, users, imported, deadLettered, later, again } = call;
  const errorInfo = withoutUsers(verdict.errorInfo, users);
  const fields = {
    callId: call.callId,
    command: call.command,
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
    ...(call.requestId !== undefined && { requestId: call.requestId }),
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
