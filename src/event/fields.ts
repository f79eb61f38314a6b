import {
  type AccountType,
  type EventRules,
  type FieldName,
  type IdentifierType,
  isAbsent,
  isKnownField,
  KNOWN_FIELDS,
  type ParsedEntry,
  type ProfileField,
  type RawEntry,
  readTally,
} from './event.ts';
import { cut, fitsBytes } from './text.ts';
import { isTraceparent } from './traceparent.ts';
import { readOccurredAtMs, validateUser } from './validate.ts';

/**
 * A user as a producer adds it. A parsed event fits as well. `undefined`, `null` and `''` mean that a field
 * is absent; a worker then leaves that field of the account alone.
 *
 * @example
 * const user: UserInput = { userId: 'alice', nick: 'Alice', faceUrl: 'https://example.com/a.png' };
 */
export interface UserInput {
  /** 1 to 32 bytes of printable ASCII without spaces; case-sensitive. Hosted mode: 4 to 24 characters. */
  readonly userId: string;
  /** At most 500 bytes of UTF-8. A longer one is accepted, but the account is imported without it. */
  readonly nick?: string | null;
  /** The URL of the picture; the limit is that of `nick`. */
  readonly faceUrl?: string | null;
  /** 0 for an ordinary account (default), 1 for a robot. Only the API form `legacy` makes robots. */
  readonly type?: AccountType | null;
  /**
   * When the user signed up: RFC 3339, milliseconds since 1970, or a Date. It is reported and orders nothing.
   */
  readonly occurredAt?: string | number | Date | null;
  /** Milliseconds since 1970, as a parsed event has it. `occurredAt` wins over it. */
  readonly occurredAtMs?: number | null;
  /** The Redis channel on which the worker publishes the outcome; up to 200 bytes of printable ASCII. */
  readonly replyTo?: string | null;
  /**
   * W3C trace context. One that cannot be parsed is ignored. Default: that of the active OpenTelemetry span.
   */
  readonly traceparent?: string | null;
  /**
   * The name of the counters of an import that this event belongs to: 1 to 64 letters, digits, `_` and `-`.
   */
  readonly tally?: string | null;
  /** Hosted mode only: 1 phone, 2 e-mail, 3 string. */
  readonly identifierType?: IdentifierType | null;
  /** Hosted mode only: 8 to 16 characters. It is a secret and goes only into the API call. */
  readonly password?: string | null;
  /** Further fields, which the worker carries along. The name of a field above is refused here. */
  readonly extra?: Readonly<Record<string, string>> | null;
}

/**
 * Builds the flat field list for XADD; the inverse of `parseEntry`. It leaves out absent fields and type 0.
 * The user must have passed `validateUser`. Throws a RangeError when `extra` uses the name of a known field,
 * since the last value of a repeated field would win unnoticed.
 */
export function toFields(user: UserInput): string[] {
  const occurredAt = isAbsent(user.occurredAt) ? user.occurredAtMs : user.occurredAt;
  const written: Partial<Record<FieldName, unknown>> = {
    // Verbs pass the type as text.
    type: Number(user.type) === 0 ? undefined : user.type,
    occurredAt: isAbsent(occurredAt) ? undefined : (readOccurredAtMs(occurredAt) ?? occurredAt),
  };
  const fields: string[] = [];
  for (const name of KNOWN_FIELDS) {
    const value = name in written ? written[name] : user[name];
    if (!isAbsent(value)) fields.push(name, String(value));
  }
  for (const [name, value] of Object.entries(user.extra ?? {})) {
    if (isKnownField(name)) throw new RangeError(`extra must not hold ${name}: it is a field of its own`);
    fields.push(name, value);
  }
  return fields;
}

/** Most bytes of a profile value (API reference, account_import, error 40601). */
export const MAX_PROFILE_BYTES = 500;
const MAX_SHOWN_USER_ID_CHARS = 200;

/**
 * Reads one stream entry. An empty field counts as absent. The last value of a repeated field wins, since a
 * producer may append a correction. Two different userIds make the entry invalid, since they do not tell
 * whose event it is. Never throws.
 */
export function parseEntry({ eventId, fields }: RawEntry, rules: EventRules): ParsedEntry {
  const { facts, userId, problems } = collect(fields);
  problems.push(...validateUser(facts, rules));
  if (problems.length > 0) {
    return { ok: false, eventId, userId: cut(userId, MAX_SHOWN_USER_ID_CHARS), problems };
  }
  const { nick, faceUrl, type, occurredAt, traceparent, tally, identifierType } = facts;
  const tooLong: ProfileField[] = [];
  if (nick !== undefined && !fitsBytes(nick, MAX_PROFILE_BYTES)) tooLong.push('nick');
  if (faceUrl !== undefined && !fitsBytes(faceUrl, MAX_PROFILE_BYTES)) tooLong.push('faceUrl');
  // All fields are set, absent ones to undefined: V8 handles objects of one shape cheaply.
  return {
    ok: true,
    eventId,
    event: {
      userId,
      nick,
      faceUrl,
      type: Number(type ?? 0) as AccountType,
      occurredAtMs: occurredAt === undefined ? undefined : readOccurredAtMs(occurredAt),
      replyTo: facts.replyTo,
      traceparent: traceparent !== undefined && isTraceparent(traceparent) ? traceparent : undefined,
      tally: readTally(tally) === undefined ? undefined : tally,
      identifierType: identifierType === undefined ? undefined : (Number(identifierType) as IdentifierType),
      password: facts.password,
      extra: facts.extra,
    },
    tooLong,
  };
}

const NO_EXTRA: Readonly<Record<string, string>> = Object.freeze({});

/** The non-empty values of the known fields, and the other fields. */
type Facts = Record<FieldName, string | undefined> & { extra: Readonly<Record<string, string>> };

/** V8 handles objects of one shape cheaply, so all begin as copies of this one. */
const NO_FACTS = {
  ...Object.fromEntries(KNOWN_FIELDS.map((name) => [name, undefined])),
  extra: NO_EXTRA,
} as Facts;

/** Sorts the fields into the known ones that are not empty and the others. */
function collect(fields: readonly string[]) {
  const facts: Facts = { ...NO_FACTS };
  const others: [string, string][] = [];
  const problems: string[] = [];
  let userId: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    if (!isKnownField(name)) {
      others.push([name, value]);
      continue;
    }
    if (name === 'userId') {
      if (userId !== undefined && userId !== value) {
        problems.push('userId is given twice, with different values');
      }
      userId = value;
    }
    facts[name] = value === '' ? undefined : value;
  }
  if (fields.length % 2 === 1) problems.push('the entry has a field without a value');
  // fromEntries and not an assignment, since a field may be called __proto__.
  if (others.length > 0) facts.extra = Object.fromEntries(others);
  return { facts, userId: userId ?? '', problems };
}
