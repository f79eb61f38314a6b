import type { ValidEntry } from './event.ts';
import { compareEventIds } from './event-id.ts';

/**
 * The valid entries of a call by user, newest first, users in the order of their first appearance. The first of
 * each list is the one to send; the next takes its place only if it is dead-lettered.
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
