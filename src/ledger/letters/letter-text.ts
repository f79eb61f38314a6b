import { eventIdMs } from '../../event/event.ts';
import type { CommandName } from '../../im/commands.ts';
import type { Attempt } from '../record.ts';
import type { Letter } from './dead-letters.ts';

/**
 * The text of a letter, as its hash holds it (docs/decisions/0097). It leaves out what stands in the hash or follows from
 * the event ID, and an attempt is a list. A letter of version 0.2.0 or before is the whole `Letter` as JSON.
 */
type Text = Partial<Omit<Letter, 'attempts' | 'notBefore'>> & {
  readonly attempts?: readonly PackedAttempt[];
};

/** ms since the event's own time, place in COMMANDS, error code, HTTP status, and the trace context if there is one. */
type PackedAttempt = readonly [
  afterMs: number,
  command: number,
  errorCode: number,
  httpStatus: number,
  traceparent?: string,
];

/** Only ever appended to: letters hold places in it. */
const COMMANDS: readonly CommandName[] = [
  'multiaccount_import',
  'account_import',
  'account_check',
  'register_account_v1',
  'account_delete',
];

/** `userId`: what the hash holds, '' unless the letter's user ID is well-formed. The hash also holds `notBefore`. */
export function packLetter(letter: Partial<Letter> & { readonly eventId: string }, userId: string): string {
  const { eventId, reason: _reason, errorCode: _code, notBefore: _date, firstSeenAt: _at, ...rest } = letter;
  const { attempts = [], event: { userId: eventUser, ...event } = {}, ...told } = rest;
  const last = attempts.at(-1);
  const text: Text = {
    ...told,
    userId: letter.userId === userId ? undefined : letter.userId,
    errorInfo: letter.errorInfo || undefined,
    httpStatus: letter.httpStatus === last?.httpStatus ? undefined : letter.httpStatus,
    command: letter.command === last?.command ? undefined : letter.command,
    event: eventUser === undefined || eventUser === userId ? event : { userId: eventUser, ...event },
    attempts: attempts.map((attempt) => packAttempt(attempt, eventIdMs(eventId))),
  };
  return JSON.stringify(text);
}

function packAttempt(
  { at, command, errorCode, httpStatus, traceparent }: Attempt,
  acceptedMs: number,
): PackedAttempt {
  const packed = [at - acceptedMs, COMMANDS.indexOf(command), errorCode, httpStatus] as const;
  return traceparent === undefined ? packed : [...packed, traceparent];
}

/** Reads the text of a letter, and the attempts before its last death. Throws when it is no letter. */
export function unpackLetter(
  eventId: string,
  packed: string,
  fields: Readonly<Record<string, string>>,
): Letter {
  const acceptedMs = eventIdMs(eventId);
  const text = JSON.parse(packed) as Text & Partial<Letter>;
  const read = (attempts: readonly (PackedAttempt | Attempt)[]): Attempt[] =>
    attempts.map((attempt) => unpackAttempt(attempt, acceptedMs));
  const own = read(text.attempts ?? []);
  const { userId = '', reason, code } = fields;
  const last = own.at(-1);
  const { event = {} } = text;
  return {
    eventId,
    userId,
    reason: reason as Letter['reason'],
    errorCode: Number(code ?? 0),
    errorInfo: '',
    httpStatus: last?.httpStatus ?? 0,
    command: last?.command ?? '',
    firstSeenAt: acceptedMs,
    notBefore: null,
    ...text,
    event: userId === '' || event.userId !== undefined ? event : { userId, ...event },
    attempts: fields.earlier === undefined ? own : [...read(JSON.parse(fields.earlier)), ...own],
    ...(fields.notBefore !== undefined && { notBefore: Number(fields.notBefore) }),
  };
}

function unpackAttempt(attempt: PackedAttempt | Attempt, acceptedMs: number): Attempt {
  if (!isPacked(attempt)) return attempt;
  const [afterMs, command, errorCode, httpStatus, traceparent] = attempt;
  return {
    at: acceptedMs + afterMs,
    command: COMMANDS[command] ?? 'account_import',
    errorCode,
    httpStatus,
    ...(traceparent !== undefined && { traceparent }),
  };
}

function isPacked(attempt: PackedAttempt | Attempt): attempt is PackedAttempt {
  return Array.isArray(attempt);
}

/** The text of a letter's hash: in pieces, or whole. Undefined when there is none. */
export function textOf(fields: Readonly<Record<string, string>>): string | undefined {
  if (fields.letter !== undefined) return fields.letter;
  let text: string | undefined;
  for (let piece = 1; fields[piece] !== undefined; piece++) text = (text ?? '') + fields[piece];
  return text;
}
