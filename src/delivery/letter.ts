import type { InvalidEntry, RawEntry } from '../event/event.ts';
import { eventIdMs } from '../event/event-id.ts';
import type { CommandName } from '../im/commands.ts';
import type { Letter } from '../ledger/dead-letters.ts';
import type { Attempt } from '../ledger/record.ts';
import type { Refused } from './decide.ts';

/** Longest value of a field that a letter keeps, in characters; what is cut says so. */
const MAX_VALUE_CHARS = 64 * 1024;
const MAX_FIELDS = 100;
const MONTH_MS = 31 * 86_400_000;

/** The letter of an entry that does not hold up. */
export function invalidLetter(raw: RawEntry, entry: InvalidEntry): Letter {
  return {
    eventId: raw.eventId,
    userId: entry.userId,
    reason: 'invalid',
    errorCode: 0,
    errorInfo: entry.problems.join('; ').slice(0, 1_000),
    httpStatus: 0,
    command: '',
    event: shownFields(raw),
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
    event: shownFields(raw),
    attempts: [...before, ...unit.attempts],
    firstSeenAt: eventIdMs(raw.eventId),
    notBefore: verdict.notBeforeMonths === undefined ? null : nowMs + verdict.notBeforeMonths * MONTH_MS,
  };
}

/** The event's own fields; a password stays where it came from. */
function shownFields(raw: RawEntry): Record<string, string> {
  const shown: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.fields.length && i < 2 * MAX_FIELDS; i += 2) {
    const name = (raw.fields[i] ?? '').slice(0, 200);
    const value = raw.fields[i + 1] ?? '';
    if (name.toLowerCase() === 'password') continue;
    shown[name] =
      value.length > MAX_VALUE_CHARS
        ? `${value.slice(0, MAX_VALUE_CHARS)}… (${value.length} characters)`
        : value;
  }
  return shown;
}
