import {
  type AccountType,
  type EventRules,
  type FieldName,
  type IdentifierType,
  isAbsent,
  isKnownField,
  KNOWN_FIELDS,
  type OddEvent,
  type ParsedEntry,
  type RawEntry,
  readTally,
} from './event.ts';
import { oddId, oddNick } from './odd-values.ts';
import { byteLength, cut } from './text.ts';
import { readOccurredAtMs, validateUser } from './validate.ts';

/**
 * A user as a producer adds it. `undefined`, `null` and `''` mean that a field is absent; a worker then
 * leaves that field of the account alone.
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
  /** Milliseconds since 1970. `occurredAt` wins over it, and takes milliseconds as well. */
  readonly occurredAtMs?: number | null;
  /** The Redis channel on which the worker publishes the outcome; up to 200 bytes of printable ASCII. */
  readonly replyTo?: string | null;
  /** W3C trace context. Default: that of the active OpenTelemetry span. */
  readonly traceparent?: string | null;
  /**
   * The name of the counters of an import that this event belongs to: 1 to 64 letters, digits, `_` and `-`.
   */
  readonly tally?: string | null;
  /** 1: the user ID is meant as it stands, although programs leave such values behind (docs/produce.md). */
  readonly allowOddId?: 1 | null;
  /** Hosted mode only: 1 phone, 2 e-mail, 3 string. */
  readonly identifierType?: IdentifierType | null;
  /** Hosted mode only: 8 to 16 characters. It is a secret and goes only into the API call. */
  readonly password?: string | null;
  /** Further fields, which the worker carries along. The name of a field above is refused here. */
  readonly extra?: Readonly<Record<string, string>> | null;
}

/**
 * Builds the flat field list for XADD, which `parseEntry` reads. It leaves out absent fields and type 0.
 * The user must have passed `validateUser`. Throws a RangeError when `extra` uses the name of a known field,
 * since the last value of a repeated field would win unnoticed.
 */
export function toFields(user: UserInput): string[] {
  const written: Partial<Record<FieldName, unknown>> = {
    // Verbs pass the type as text.
    type: Number(user.type) === 0 ? undefined : user.type,
    occurredAt: readOccurredAtMs(isAbsent(user.occurredAt) ? user.occurredAtMs : user.occurredAt),
    // The sender allows it. Workers judge the event again, by settings of their own.
    ...(oddId(user.userId)?.isCertain && { allowOddId: 1 }),
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
  const { facts, problems } = collect(fields);
  problems.push(...validateUser(facts, rules));
  const { userId = '', nick, faceUrl, type = 0, replyTo, traceparent, tally } = facts;
  const { identifierType, password } = facts;
  if (problems.length > 0) {
    return { ok: false, eventId, userId: cut(userId, MAX_SHOWN_USER_ID_CHARS), problems };
  }
  return {
    ok: true,
    eventId,
    event: {
      userId,
      nick,
      faceUrl,
      type: Number(type) as AccountType,
      replyTo,
      traceparent,
      tally: readTally(tally),
      identifierType: identifierType === undefined ? undefined : (Number(identifierType) as IdentifierType),
      password,
    },
    tooLong: (['nick', 'faceUrl'] as const).filter(
      (name) => byteLength(facts[name] ?? '') > MAX_PROFILE_BYTES,
    ),
    odd: oddEvent(userId, nick),
  };
}

/** What looks odd about a valid event. The ID comes first: it makes another account. */
function oddEvent(userId: string, nick: string | undefined): OddEvent | undefined {
  const id = oddId(userId);
  if (id !== undefined) return `id-${id.kind}`;
  const kind = nick === undefined ? undefined : oddNick(nick);
  return kind && `nick-${kind}`;
}

/** Sorts the fields into the known ones, of which an empty one is absent, and the others. */
function collect(fields: readonly string[]) {
  const facts: Partial<Record<FieldName, string>> & { extra?: object } = {};
  const others: [string, string][] = [];
  const problems: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? '';
    const value = fields[at + 1] ?? '';
    if (name === 'userId' && (facts.userId ?? value) !== value)
      problems.push('userId is given twice, with different values');
    if (isKnownField(name)) facts[name] = value === '' ? undefined : value;
    else others.push([name, value]);
  }
  if (fields.length % 2 === 1) problems.push('the entry has a field without a value');
  // fromEntries and not an assignment, since a field may be called __proto__.
  if (others.length > 0) facts.extra = Object.fromEntries(others);
  return { facts, problems };
}
