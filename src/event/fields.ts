import type { AccountType, IdentifierType } from './event.ts';
import { type FieldName, isKnownField, KNOWN_FIELDS } from './field-names.ts';
import { isAbsent, readOccurredAtMs } from './validate.ts';

/** A user as a producer hands it over; a parsed event fits as well. */
export interface UserInput {
  readonly userId: string;
  readonly nick?: string | null;
  readonly faceUrl?: string | null;
  readonly type?: AccountType | null;
  /** RFC 3339, milliseconds since 1970, or a Date. */
  readonly occurredAt?: string | number | Date | null;
  /** Milliseconds since 1970, as a parsed event has it; occurredAt goes before it. */
  readonly occurredAtMs?: number | null;
  readonly replyTo?: string | null;
  readonly traceparent?: string | null;
  readonly tally?: string | null;
  readonly identifierType?: IdentifierType | null;
  readonly password?: string | null;
  /** Further fields that travel along; a name of ours among them is an error. */
  readonly extra?: Readonly<Record<string, string>> | null;
}

/**
 * The flat field list for XADD, the inverse of `parseEntry`: absent and empty fields are left out, as is type 0.
 * Expects a user that `validateUser` found nothing wrong with; throws a RangeError when `extra` uses a name that
 * is a field of its own, since the last one would win unseen.
 */
export function toFields(user: UserInput): string[] {
  const occurredAt = isAbsent(user.occurredAt) ? user.occurredAtMs : user.occurredAt;
  const values: Record<FieldName, unknown> = {
    userId: user.userId,
    nick: user.nick,
    faceUrl: user.faceUrl,
    // A verb hands it over as text.
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
