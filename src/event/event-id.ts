import type { ValidEntry } from './event.ts';

/**
 * Orders two event IDs as Redis does: negative if a is older, 0 if they are equal. An event ID is a stream
 * ID, `<ms>-<seq>`; both parts are unsigned 64-bit numbers, which a JavaScript number cannot hold. So this
 * compares digits. An ID without a sequence counts as sequence 0.
 */
export function compareEventIds(a: string, b: string): number {
  const [aMs, aSeq] = parts(a);
  const [bMs, bSeq] = parts(b);
  return compareDigits(aMs, bMs) || compareDigits(aSeq, bSeq);
}

/** When Redis accepted the event: milliseconds since 1970 by Redis's clock; 0 if the text is no stream ID. */
export function eventIdMs(eventId: string): number {
  const dash = eventId.indexOf('-');
  const ms = Number(dash < 0 ? eventId : eventId.slice(0, dash));
  return Number.isFinite(ms) ? ms : 0;
}

/**
 * Groups the valid entries of a call by user, newest first; users keep the order of their first appearance.
 * The first entry of a user is sent. The next one takes its place only if the first is dead-lettered.
 */
export function newestFirst(entries: Iterable<ValidEntry>): Map<string, ValidEntry[]> {
  const byUser = new Map<string, ValidEntry[]>();
  for (const entry of entries) {
    const own = byUser.get(entry.event.userId);
    if (own === undefined) byUser.set(entry.event.userId, [entry]);
    else own.push(entry);
  }
  for (const own of byUser.values())
    if (own.length > 1) own.sort((a, b) => compareEventIds(b.eventId, a.eventId));
  return byUser;
}

function parts(eventId: string): [ms: string, seq: string] {
  const dash = eventId.indexOf('-');
  return dash < 0 ? [eventId, '0'] : [eventId.slice(0, dash), eventId.slice(dash + 1)];
}

function compareDigits(a: string, b: string): number {
  const x = a.replace(/^0+/, '');
  const y = b.replace(/^0+/, '');
  if (x.length !== y.length) return x.length - y.length;
  if (x === y) return 0;
  return x < y ? -1 : 1;
}
