import {
  type FeedCall,
  type FeedOutcome,
  type FeedRecord,
  printable,
  printableJson,
} from '../../ops/feed/record.ts';
import { counted, isoTime } from '../format.ts';

/** One record as a line of `imsync tail`. Texts from elsewhere are escaped. Pure. */
export function lineOf(record: FeedRecord, worker: string): string {
  const line = record.kind === 'call' ? callLine(record, worker) : outcomeLine(record);
  return `${isoTime(record.at)}  ${line}`;
}

/** One record as a line of `imsync tail --json`. */
export function jsonLineOf(record: FeedRecord, worker: string): string {
  const { at, kind, ...rest } = record;
  return printableJson({ time: isoTime(at), kind, worker, ...rest });
}

const KIND_CHARS = 13;

function callLine(call: FeedCall, worker: string): string {
  const { command, class: slotClass, users, tries, answer, errorInfo, ms } = call;
  const counts = Object.entries({
    imported: call.imported,
    'dead-lettered': call.deadLettered,
    'to be retried': call.later,
    'to be sent again': call.again,
  });
  const what = counts.filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name}`);
  return [
    'call'.padEnd(KIND_CHARS),
    printable(command).padEnd(19),
    printable(slotClass).padEnd(7),
    counted(users, 'user').padStart(9),
    printable(answer).padStart(7),
    `${ms} ms`.padStart(8),
    [
      ...what,
      ...(tries > 0 ? [`run ${tries + 1}`] : []),
      ...(errorInfo === '' ? [] : [printable(errorInfo)]),
    ].join(', '),
    `(${printable(worker)})`,
  ].join('  ');
}

function outcomeLine({ outcome, userId, eventId, errorCode, reason, hasAccount }: FeedOutcome): string {
  const why =
    reason === undefined ? [] : [printable(reason), ...(errorCode === 0 ? [] : [String(errorCode)])];
  if (outcome === 'dead-lettered' && hasAccount) why.push('(the account exists)');
  return [
    printable(outcome).padEnd(KIND_CHARS),
    printable(userId).padEnd(19),
    printable(eventId),
    ...(why.length === 0 ? [] : [why.join(' ')]),
  ].join('  ');
}
