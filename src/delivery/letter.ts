import type { InvalidEntry, RawEntry } from '../event/event.ts';
import { eventIdMs } from '../event/event-id.ts';
import { cut } from '../event/text.ts';
import type { CommandName } from '../im/commands.ts';
import type { Letter } from '../ledger/dead-letters.ts';
import type { Attempt } from '../ledger/record.ts';
import type { Refused } from './decide.ts';

/**
 * Bounds of what a letter keeps, in characters; what is cut says so. All that a valid event may hold fits: 64 KiB
 * a profile field, and 64 KiB of further fields.
 */
const MAX_VALUE_CHARS = 64 * 1024;
const MAX_EVENT_CHARS = 8 * MAX_VALUE_CHARS;
const MONTH_MS = 31 * 86_400_000;

/** The letter of an entry that does not hold up. */
export function invalidLetter(raw: RawEntry, entry: InvalidEntry): Letter {
  const { event, partial } = shownFields(raw);
  return {
    eventId: raw.eventId,
    userId: entry.userId,
    reason: 'invalid',
    errorCode: 0,
    errorInfo: entry.problems.join('; ').slice(0, 1_000),
    httpStatus: 0,
    command: '',
    event,
    ...(partial && { partial }),
    attempts: [],
    firstSeenAt: eventIdMs(raw.eventId),
    notBefore: null,
  };
}

/** The letter of an event that the API refused, or that grew too old. `before`: attempts of earlier runs. */
export function refusedLetter(
  raw: RawEntry,
  refused: Refused,
  command: CommandName,
  before: readonly Attempt[],
  nowMs: number,
): Letter {
  const { verdict, unit, reason } = refused;
  return {
    eventId: raw.eventId,
    userId: unit.userId,
    reason,
    errorCode: verdict.errorCode,
    errorInfo: verdict.errorInfo || verdict.meaning,
    httpStatus: verdict.httpStatus,
    command,
    event: shownFields(raw).event,
    attempts: [...before, ...unit.attempts],
    firstSeenAt: eventIdMs(raw.eventId),
    notBefore:
      verdict.notBeforeMonths === undefined ? null : Math.round(nowMs + verdict.notBeforeMonths * MONTH_MS),
  };
}

/**
 * The event's own fields; a password stays where it came from. Of a repeated name the last counts, as in every
 * valid event, so that trying a letter again sends what was meant. Where that cannot be, `partial` says so: then
 * what is kept is for a person to look at.
 */
function shownFields(raw: RawEntry): { event: Record<string, string>; partial: boolean } {
  const all = new Map<string, string>();
  let partial = raw.fields.length % 2 === 1;
  for (let i = 0; i + 1 < raw.fields.length; i += 2) {
    const [name = '', value = ''] = raw.fields.slice(i, i + 2);
    // Whose event it is cannot be told.
    if (name === 'userId' && all.has(name) && all.get(name) !== value) partial = true;
    if (name.toLowerCase() !== 'password') all.set(name, value);
  }
  const shown: [string, string][] = [];
  let room = MAX_EVENT_CHARS;
  for (const [name, value] of all) {
    room -= name.length + Math.min(value.length, MAX_VALUE_CHARS);
    // One that is too long to be a trace context is none, and left out of the event either way.
    if (room < 0 || (value.length > MAX_VALUE_CHARS && name !== 'traceparent')) partial = true;
    if (room >= 0) shown.push([name, shownValue(value)]);
  }
  // Not by assignment, which would take a field named __proto__ for something else.
  return { event: Object.fromEntries(shown), partial };
}

function shownValue(value: string): string {
  if (value.length <= MAX_VALUE_CHARS) return value;
  return `${cut(value, MAX_VALUE_CHARS)}… (${value.length} characters)`;
}
