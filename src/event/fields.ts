import {
  type AccountType,
  type FieldName,
  type IdentifierType,
  isAbsent,
  isKnownField,
  KNOWN_FIELDS,
} from './event.ts';
import { readOccurredAtMs } from './instant.ts';

/**
 * A user as a producer adds it. A parsed event fits as well. `undefined`, `null` and `''` mean that a field
 * is absent; a worker then leaves that field of the account alone.
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
  /** W3C trace context. One that cannot be parsed is ignored. */
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
  const values: Record<FieldName, unknown> = {
    userId: user.userId,
    nick: user.nick,
    faceUrl: user.faceUrl,
    // Verbs pass the type as text.
    type: Number(user.type) === 0 ? undefined : user.type,
    occurredAt: isAbsent(occurredAt) ? undefined : (readOccurredAtMs(occurredAt) ?? occurredAt),
    replyTo: user.replyTo,
    traceparent: user.traceparent,
    tally: user.tally,
    identifierType: user.identifierType,
    password: user.password,
  };
  const fields: string[] = [];
  for (const name of KNOWN_FIELDS) {
    const value = values[name];
    if (!isAbsent(value)) fields.push(name, String(value));
  }
  for (const [name, value] of Object.entries(user.extra ?? {})) {
    if (isKnownField(name)) throw new RangeError(`extra must not hold ${name}: it is a field of its own`);
    fields.push(name, value);
  }
  return fields;
}
