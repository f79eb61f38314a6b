/** What a *user created* event is: the shapes that every other room speaks of. */
import type { ApiForm } from '../config/config.ts';

/** One stream entry as Redis holds it: fields flat, [name, value, name, value, …]. */
export interface RawEntry {
  readonly eventId: string;
  readonly fields: readonly string[];
}

/** 0 ordinary, 1 robot (API reference, account_import, old form: no other call has a Type). */
export type AccountType = 0 | 1;

/** 1 phone, 2 e-mail, 3 string; hosted mode only (API reference, register_account_v1). */
export type IdentifierType = 1 | 2 | 3;

/** The profile fields an event may carry. */
export type ProfileField = 'nick' | 'faceUrl';

/** A valid event: the whole profile as its producer knows it; an absent field is unknown, not kept. */
export interface UserCreated {
  /** 1–32 bytes of printable ASCII without spaces; case-sensitive. */
  readonly userId: string;
  readonly nick?: string;
  readonly faceUrl?: string;
  readonly type: AccountType;
  /** When it happened, by the producer's clock; reported, orders nothing. */
  readonly occurredAtMs?: number;
  /** Channel on which the outcome is published. */
  readonly replyTo?: string;
  /** W3C trace context; one that does not parse is left out, since tracing must not cost an account. */
  readonly traceparent?: string;
  /** The count that it belongs to, such as of an import; a name that is none is left out. */
  readonly tally?: string;
  /** Hosted mode only. */
  readonly identifierType?: IdentifierType;
  /** Hosted mode only; a secret: goes into the API call and nowhere else. */
  readonly password?: string;
  /** Fields this version does not know; they travel along. */
  readonly extra: Readonly<Record<string, string>>;
}

/** What validity depends on besides the event itself. */
export interface EventRules {
  /** The app's admin account, which must never be imported. */
  readonly adminId: string;
  /**
   * The form of the calls (IMSYNC_API). `hosted` requires identifierType and password and checks them; `legacy` alone
   * makes robots. Absent where it is not known, as in a producer of the app: then robots pass, and the worker that
   * reads them judges.
   */
  readonly form?: ApiForm;
}

/** An entry that holds up. */
export interface ValidEntry {
  readonly ok: true;
  readonly eventId: string;
  readonly event: UserCreated;
  /** Profile fields over 500 UTF-8 bytes: the API refuses them, the account is still worth importing. */
  readonly tooLong: readonly ProfileField[];
}

/** An entry that does not hold up, with everything that is wrong with it. */
export interface InvalidEntry {
  readonly ok: false;
  readonly eventId: string;
  /** As it came, cut to 200 characters; '' if there was none. */
  readonly userId: string;
  readonly problems: readonly string[];
}

export type ParsedEntry = ValidEntry | InvalidEntry;
