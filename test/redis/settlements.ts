import { compareEventIds, type Outcome, type RawEntry } from '../../src/event/event.ts';
import type { DeadReason } from '../../src/ledger/letters/dead-letters.ts';
import { type CallRecord, claimedUser, entriesOf } from '../../src/ledger/record.ts';
import type { DeadEvent, Settlement } from '../../src/ledger/settle.ts';

/**
 * How a user of a call fares.
 * - `import`: the newest event is in, the older ones are superseded.
 * - `next`: the newest is refused, the next older one is in; with one event alone it is refused.
 * - `die`: all events are refused.
 * - `stay`: to be called again.
 * - a number: so many of the newest are refused, the next older one is in.
 */
export type Fate = 'import' | 'next' | 'die' | 'stay' | number;

const REFUSED = { import: 0, next: 1, die: Number.POSITIVE_INFINITY };

export const nothing: Settlement = {
  imported: [],
  superseded: 0,
  dead: [],
  released: [],
  kept: null,
  publish: [],
  outcomes: [],
};

export function deadEvent(
  { eventId, fields }: RawEntry,
  reason: DeadReason = 'rejected',
  code = 70402,
): DeadEvent {
  const userId = claimedUser(fields);
  const letter = { eventId, userId, reason, errorCode: code, attempts: [], notBefore: null };
  return { eventId, userId, reason, code, letter };
}

/** The settlement that gives each user of a record their fate; entries that claim nobody die as invalid. */
export function settlementBy(
  record: CallRecord,
  fateOf: (userId: string, newestFirst: readonly RawEntry[]) => Fate,
  dueAtMs = 0,
): Settlement {
  const byUser = new Map<string, RawEntry[]>();
  for (const entry of entriesOf(record)) {
    const userId = claimedUser(entry.fields);
    byUser.set(userId, [...(byUser.get(userId) ?? []), entry]);
  }
  const imported: { userId: string; eventId: string }[] = [];
  const dead = (byUser.get('') ?? []).map((entry) => deadEvent(entry, 'invalid', 0));
  byUser.delete('');
  const released: string[] = [];
  const staying = new Set<string>();
  const older: { userId: string; eventId: string }[] = [];
  for (const [userId, own] of byUser) {
    const newest = own.toSorted((a, b) => compareEventIds(b.eventId, a.eventId));
    const fate = fateOf(userId, newest);
    if (fate === 'stay') {
      staying.add(userId);
      continue;
    }
    released.push(userId);
    const refused = typeof fate === 'number' ? fate : REFUSED[fate];
    dead.push(...newest.slice(0, refused).map((entry) => deadEvent(entry)));
    const [sent, ...rest] = newest.slice(refused);
    if (sent === undefined) continue;
    imported.push({ userId, eventId: sent.eventId });
    older.push(...rest.map(({ eventId }) => ({ userId, eventId })));
  }
  const kept = staying.size > 0 && {
    entries: entriesOf(record).filter(({ fields }) => staying.has(claimedUser(fields))),
    users: staying.size,
    tries: record.tries + 1,
    attempts: record.attempts,
    suspects: record.suspects,
    isIsolated: false,
    dueAtMs,
    firstSentAtMs: record.firstSentAtMs,
    heldMsAtFirst: record.heldMsAtFirst,
  };
  const outcomes: Outcome[] = [
    ...imported.map((one) => ({ ...one, outcome: 'imported' as const, errorCode: 0, hasAccount: true })),
    ...older.map((one) => ({ ...one, outcome: 'superseded' as const, errorCode: 0, hasAccount: true })),
    ...dead.map(({ eventId, userId, code, reason }) => ({
      ...{ eventId, userId, errorCode: code, reason, hasAccount: false },
      outcome: 'dead-lettered' as const,
    })),
  ];
  return { imported, superseded: older.length, dead, released, kept: kept || null, publish: [], outcomes };
}
