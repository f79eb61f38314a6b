import type { InvalidEntry, RawEntry } from '../event/event.ts';
import { eventIdMs } from '../event/event-id.ts';
import type { CommandName } from '../im/commands.ts';
import type { Letter } from '../ledger/dead-letters.ts';
import { type Attempt, attemptsOf } from '../ledger/record.ts';
import type { Refused } from './decide.ts';

/** Longest value of a field that a letter keeps, in characters; what is cut says so. */
const MAX_VALUE_CHARS = 64 * 1024;
const MAX_FIELDS = 100;

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
    ...withheldFields(raw),
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
    ...withheldFields(raw),
    attempts: [...attemptsOf(before, unit.userId), ...unit.attempts],
    firstSeenAt: eventIdMs(raw.eventId),
    notBefore: notBefore(eventIdMs(raw.eventId), verdict.notBeforeMonths),
  };
}

/**
 * Calendar months after the event was first seen: the account was gone by then, so what the API counts from is no
 * later, and no date comes with its answer. A day that the month does not have rolls over into the next one.
 */
function notBefore(firstSeenAtMs: number, months: number | undefined): number | null {
  if (months === undefined) return null;
  const date = new Date(firstSeenAtMs);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.getTime();
}

function isSecret(name: string): boolean {
  return name.toLowerCase() === 'password';
}

function withheldFields({ fields }: RawEntry): Pick<Letter, 'withheld'> {
  const secrets = fields.filter((name, i) => i % 2 === 0 && isSecret(name));
  return secrets.length === 0 ? {} : { withheld: [...new Set(secrets)] };
}

/** The event's own fields; a password stays where it came from. */
function shownFields(raw: RawEntry): Record<string, string> {
  const shown: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.fields.length && i < 2 * MAX_FIELDS; i += 2) {
    const name = (raw.fields[i] ?? '').slice(0, 200);
    const value = raw.fields[i + 1] ?? '';
    if (isSecret(name)) continue;
    shown[name] =
      value.length > MAX_VALUE_CHARS
        ? `${value.slice(0, MAX_VALUE_CHARS)}… (${value.length} characters)`
        : value;
  }
  return shown;
}
