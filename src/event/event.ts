/** The *user created* event: its types and field names, which every other room uses. */
import type { ApiForm } from '../config/config.ts';

/** A stream entry as Redis holds it. `fields` is flat: [name, value, name, value, …]. */
export interface RawEntry {
  readonly eventId: string;
  readonly fields: readonly string[];
}

/** 0 ordinary, 1 robot. Only the old form of account_import has a Type (API reference). */
export type AccountType = 0 | 1;

/** 1 phone, 2 e-mail, 3 string; hosted mode only (API reference, register_account_v1). */
export type IdentifierType = 1 | 2 | 3;

/** The profile fields an event may carry. */
export type ProfileField = 'nick' | 'faceUrl';

/**
 * A valid event: the whole profile as its producer knows it. Events of one user are not merged field by
 * field.
 */
export interface UserCreated {
  /** 1–32 bytes of printable ASCII without spaces; case-sensitive. */
  readonly userId: string;
  readonly nick?: string;
  readonly faceUrl?: string;
  readonly type: AccountType;
  /** When it happened, by the producer's clock. It is reported and orders nothing. */
  readonly occurredAtMs?: number;
  /** The channel on which the outcome is published. */
  readonly replyTo?: string;
  /** W3C trace context. An invalid one is left out, since tracing must not cost an account. */
  readonly traceparent?: string;
  /** The counters of an import that it belongs to. An invalid name is left out. */
  readonly tally?: string;
  /** Hosted mode only. */
  readonly identifierType?: IdentifierType;
  /** Hosted mode only. It is a secret and goes only into the API call. */
  readonly password?: string;
  /** Fields that this version does not know. They are carried along. */
  readonly extra: Readonly<Record<string, string>>;
}

/** Settings that decide whether an event is valid. */
export interface EventRules {
  /** The app's admin account. It must never be imported. */
  readonly adminId: string;
  /**
   * The form of the calls (IMSYNC_API). `hosted` requires identifierType and password; only `legacy` makes
   * robots. A producer may not know the form: then robots pass here, and the worker decides.
   */
  readonly form?: ApiForm;
}

/** A valid entry. */
export interface ValidEntry {
  readonly ok: true;
  readonly eventId: string;
  readonly event: UserCreated;
  /** Profile fields over 500 UTF-8 bytes. The API refuses them; the account is imported without them. */
  readonly tooLong: readonly ProfileField[];
}

/** An invalid entry with all its problems. */
export interface InvalidEntry {
  readonly ok: false;
  readonly eventId: string;
  /** The given user ID, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  readonly problems: readonly string[];
}

export type ParsedEntry = ValidEntry | InvalidEntry;

/** The field names of a stream entry, which a producer in any language writes with XADD. */
export const KNOWN_FIELDS = [
  'userId',
  'nick',
  'faceUrl',
  'type',
  'occurredAt',
  'replyTo',
  'traceparent',
  'tally',
  'identifierType',
  'password',
] as const;

export type FieldName = (typeof KNOWN_FIELDS)[number];

const known: ReadonlySet<string> = new Set(KNOWN_FIELDS);

export function isKnownField(name: string): name is FieldName {
  return known.has(name);
}

/** Whether a value means "not given": undefined, null or ''. */
export function isAbsent(value: unknown): value is undefined | null | '' {
  return value === undefined || value === null || value === '';
}

/** Returns the name of an import's counters, or undefined if the text is no such name. */
export function readTally(text: string | undefined): string | undefined {
  return text !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined;
}
