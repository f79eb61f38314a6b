import type { EventRules } from '../event/event.ts';
import { toFields, type UserInput } from '../event/fields.ts';
import { validateUser } from '../event/validate.ts';
import type { AsideRow, OutboxRow } from './outbox.ts';

/** The rows of a look, as Redis gets them, and those that can be no events. */
export interface Sorted {
  /** Fields of the events, in the order of the rows. */
  readonly events: readonly (readonly string[])[];
  readonly relayed: readonly OutboxRow[];
  readonly bad: readonly AsideRow[];
}

/** Validates the rows by the rules of producers. Pure. */
export function sortRows(rows: readonly OutboxRow[], rules: EventRules): Sorted {
  const events: string[][] = [];
  const relayed: OutboxRow[] = [];
  const bad: AsideRow[] = [];
  for (const row of rows) {
    const { id, userId, nick, faceUrl, type, traceparent, createdAtMs } = row;
    const user = { userId, nick, faceUrl, type, traceparent, occurredAt: Math.floor(createdAtMs) };
    const problems = validateUser(user, rules);
    if (problems.length > 0) bad.push({ id, reason: problems.join('; ') });
    else {
      events.push(toFields(user as UserInput));
      relayed.push(row);
    }
  }
  return { events, relayed, bad };
}
