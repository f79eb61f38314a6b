/** The *user created* event: its types, field names, IDs and outcome. Every other room uses them. */
import type { ApiForm, Config } from '../config/config.ts';
import { ODD_ID_KINDS, ODD_NICK_KINDS, type OddIdKind, type OddNickKind } from './odd-values.ts';

/** A stream entry as Redis holds it. `fields` is flat: [name, value, name, value, …]. */
export interface RawEntry {
  readonly eventId: string;
  readonly fields: readonly string[];
}

/**
 * 0 ordinary, 1 robot. Only the old form of account_import has a Type (API reference).
 *
 * @example
 * await producer.add({ userId: '@RBT#helper', type: 1 }); // with IMSYNC_API=legacy
 */
export type AccountType = 0 | 1;

/**
 * 1 phone, 2 e-mail, 3 string; hosted mode only (API reference, register_account_v1).
 *
 * @example
 * await producer.add({ userId: 'alice', identifierType: 3, password });
 */
export type IdentifierType = 1 | 2 | 3;

/** What looks odd about an event that is imported: the label `kind` of imsync_odd_events_total. */
export type OddEvent = `id-${OddIdKind}` | `nick-${OddNickKind}`;

export const ODD_EVENTS: readonly OddEvent[] = [
  ...ODD_ID_KINDS.map((kind) => `id-${kind}` as const),
  ...ODD_NICK_KINDS.map((kind) => `nick-${kind}` as const),
];

/** The profile fields an event may carry. */
export type ProfileField = 'nick' | 'faceUrl';

/**
 * A valid event as far as a worker uses it: the account as a call carries it (fields: UserInput), and who
 * hears of its end. It is the whole profile: events of one user are not merged field by field.
 */
export interface UserCreated {
  readonly userId: string;
  readonly nick?: string;
  readonly faceUrl?: string;
  readonly type?: AccountType;
  readonly identifierType?: IdentifierType;
  readonly password?: string;
  readonly replyTo?: string;
  /** W3C trace context, as given: tracing must not cost an account. */
  readonly traceparent?: string;
  /** The counters of an import that it belongs to. An invalid name is left out. */
  readonly tally?: string;
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
  /** Odd user IDs that are valid here (IMSYNC_ALLOW_ODD_IDS): exact IDs, kinds, or `all`. */
  readonly allowOddIds?: readonly string[];
}

export function eventRulesOf({ app, api, allowOddIds }: Config): EventRules {
  return { adminId: app.adminId, form: api.form, allowOddIds };
}

export interface ValidEntry {
  readonly ok: true;
  readonly eventId: string;
  readonly event: UserCreated;
  /** Profile fields over 500 UTF-8 bytes. The API refuses them; the account is imported without them. */
  readonly tooLong: readonly ProfileField[];
  /** What looks odd about it, if it does. It is imported all the same. */
  readonly odd?: OddEvent | undefined;
}

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
  'allowOddId',
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

/** The value of a field of an entry; of a repeated field the last. */
export function lastValueOf(fields: readonly string[], field: string): string | undefined {
  const at = fields.findLastIndex((name, i) => i % 2 === 0 && name === field);
  return at < 0 ? undefined : fields[at + 1];
}

/** Returns the name of an import's counters, or undefined if the text is no such name. */
export function readTally(text: string | undefined): string | undefined {
  return text !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined;
}

/**
 * Orders two event IDs as Redis does: negative if a is older, 0 if they are equal. An event ID is a stream
 * ID, `<ms>-<seq>`; both parts are unsigned 64-bit numbers, which a JavaScript number cannot hold. So this
 * compares digits. An ID without a sequence counts as sequence 0.
 */
export function compareEventIds(a: string, b: string): number {
  const [x, y] = [padded(a), padded(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Both parts with 20 digits, as many as 2^64 has. */
function padded(eventId: string): string {
  const [ms = '', seq = ''] = eventId.split('-');
  return ms.padStart(20, '0') + seq.padStart(20, '0');
}

/** When Redis accepted the event: milliseconds since 1970 by Redis's clock; 0 if the text is no stream ID. */
export function eventIdMs(eventId: string): number {
  const ms = Number(eventId.split('-', 1)[0]);
  return Number.isFinite(ms) ? ms : 0;
}

/**
 * Groups the valid entries of a call by user, newest first; users keep the order of their first appearance.
 * The first entry of a user is sent. The next one takes its place only if the first is dead-lettered.
 */
export function newestFirst(entries: Iterable<ValidEntry>): Map<string, ValidEntry[]> {
  const byUser = new Map<string, ValidEntry[]>();
  for (const entry of entries) {
    const own = byUser.get(entry.event.userId);
    if (own === undefined) byUser.set(entry.event.userId, [entry]);
    else own.push(entry);
  }
  for (const own of byUser.values()) own.sort((a, b) => compareEventIds(b.eventId, a.eventId));
  return byUser;
}

/**
 * How an event ended. The worker publishes it on the `replyTo` channel, one JSON object per message.
 *
 * @example
 * subscriber.on('message', (_channel, message) => {
 *   const { eventId, outcome, hasAccount }: Outcome = JSON.parse(message);
 * });
 */
export interface Outcome {
  readonly eventId: string;
  /** The given user ID, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  /**
   * - `imported`: the account has this event's profile.
   * - `superseded`: a newer event of the user was imported in its place.
   * - `dead-lettered`: the profile or the whole account was not imported; see `reason`.
   */
  readonly outcome: 'imported' | 'superseded' | 'dead-lettered';
  /** The API's error code; 0 if it gave none. */
  readonly errorCode: number;
  /**
   * Why it was dead-lettered; absent otherwise.
   * - `invalid`: the event itself is wrong.
   * - `rejected`: the API refuses this account.
   * - `profile`: the API refuses the nick or the picture.
   * - `expired`: the event was tried for IMSYNC_RETRY_MAX_AGE_MS without success.
   * - `unknown`: the API answers with an error code that no table lists.
   */
  readonly reason?: 'invalid' | 'rejected' | 'profile' | 'expired' | 'unknown';
  /**
   * True if the user certainly has an account now, so that a message can reach them. It is also true when a
   * newer event was imported instead, and when the account was imported without its refused profile.
   */
  readonly hasAccount: boolean;
}

/** Reads a message; undefined if it is no outcome. Messages of the previous version have no `hasAccount`. */
export function readOutcome(message: string): Outcome | undefined {
  let read: Partial<Outcome> | null;
  try {
    read = JSON.parse(message) as Partial<Outcome> | null;
  } catch {
    return undefined;
  }
  if (typeof read?.eventId !== 'string' || typeof read.outcome !== 'string') return undefined;
  const { eventId, userId = '', outcome, errorCode = 0, reason } = read;
  return {
    eventId,
    userId,
    outcome,
    errorCode,
    ...(reason !== undefined && { reason }),
    hasAccount: read.hasAccount ?? outcome !== 'dead-lettered',
  };
}
