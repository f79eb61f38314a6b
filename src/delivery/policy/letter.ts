import { eventIdMs, type InvalidEntry, type RawEntry } from '../../event/event.ts';
import { cut } from '../../event/text.ts';
import type { CommandName } from '../../im/commands.ts';
import type { Letter } from '../../ledger/letters/dead-letters.ts';
import { type Attempt, attemptsOf } from '../../ledger/record.ts';
import type { Refused } from './decision.ts';

/**
 * Bounds of what a letter keeps, in characters; what is cut says so. All that a valid event may hold fits: 64
 * KiB a profile field, and 64 KiB of further fields.
 */
const MAX_VALUE_CHARS = 64 * 1024;
const MAX_EVENT_CHARS = 8 * MAX_VALUE_CHARS;

/** The letter of an entry that is not valid. */
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
  const { verdict, user, reason } = refused;
  return {
    eventId: raw.eventId,
    userId: user.userId,
    reason,
    errorCode: verdict.errorCode,
    errorInfo: verdict.errorInfo || verdict.meaning,
    httpStatus: verdict.httpStatus,
    command,
    event: shownFields(raw).event,
    ...withheldFields(raw),
    ...(hasAccount(refused) && { hasAccount: true }),
    attempts: [...attemptsOf(before, user.userId), ...user.attempts],
    firstSeenAt: eventIdMs(raw.eventId),
    notBefore: notBefore(eventIdMs(raw.eventId), verdict.notBeforeMonths),
  };
}

/**
 * Calendar months after the event was first seen: the account was gone by then, so what the API counts from
 * is no later, and no date comes with its answer. A day that the month does not have rolls over into the next
 * one.
 */
function notBefore(firstSeenAtMs: number, months: number | undefined): number | null {
  if (months === undefined) return null;
  const date = new Date(firstSeenAtMs);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.getTime();
}

/**
 * Whether the user certainly has an account though this event ended here: it was imported without the
 * profile, or account_check found it. False also while an older event of the user may still make one.
 */
function hasAccount({ user, reason }: Refused): boolean {
  return user.exists || (reason === 'profile' && user.bare !== null);
}

function isSecret(name: string): boolean {
  return name.toLowerCase() === 'password';
}

function withheldFields({ fields }: RawEntry): Pick<Letter, 'withheld'> {
  const secrets = fields.filter((name, i) => i % 2 === 0 && isSecret(name));
  return secrets.length === 0 ? {} : { withheld: [...new Set(secrets)] };
}

/**
 * The event's own fields; a password stays where it came from. Of a repeated name the last counts, as in
 * every valid event, so that trying a letter again sends what was meant. Where that cannot be, `partial` says
 * so: then what is kept is for a person to look at.
 */
function shownFields(raw: RawEntry): { event: Record<string, string>; partial: boolean } {
  const all = new Map<string, string>();
  let partial = raw.fields.length % 2 === 1;
  for (let i = 0; i + 1 < raw.fields.length; i += 2) {
    const [name = '', value = ''] = raw.fields.slice(i, i + 2);
    // Whose event it is cannot be told.
    if (name === 'userId' && all.has(name) && all.get(name) !== value) partial = true;
    if (!isSecret(name)) all.set(name, value);
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
