/** Stream IDs, `<ms>-<seq>`: both parts are unsigned 64-bit numbers, more than a JavaScript number holds. */

/**
 * Orders two event IDs as Redis does: negative when a is older, 0 when equal. Compares digits, not floats, so
 * that no two IDs collapse into one. An ID without a sequence counts as sequence 0.
 */
export function compareEventIds(a: string, b: string): number {
  const [aMs, aSeq] = parts(a);
  const [bMs, bSeq] = parts(b);
  return compareDigits(aMs, bMs) || compareDigits(aSeq, bSeq);
}

/** When Redis accepted the event: milliseconds since 1970 by Redis's clock; 0 for what is no stream ID. */
export function eventIdMs(eventId: string): number {
  const dash = eventId.indexOf('-');
  const ms = Number(dash < 0 ? eventId : eventId.slice(0, dash));
  return Number.isFinite(ms) ? ms : 0;
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
