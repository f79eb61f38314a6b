import { lastValueOf, type RawEntry } from '../event/event.ts';
import { hasUserIdForm } from '../event/user-id.ts';
import type { ImportCommand } from '../im/bodies.ts';
import type { CommandName } from '../im/commands.ts';

/**
 * Format of the call records that this version writes and understands. A record of another format is left for
 * the version that wrote it, so that two versions run side by side.
 */
export const RECORD_FORMAT = 1;

/** Bytes of entries in a record (a single larger entry goes alone). 100 full profiles take 110 KB. */
export const MAX_RECORD_BYTES = 512 * 1024;

/** One call made for a record, and what came of it. */
export interface Attempt {
  /** ms since 1970, Redis's clock. */
  readonly at: number;
  readonly command: CommandName;
  /** 0 when the API gave none. */
  readonly errorCode: number;
  /** 0 when no answer came. */
  readonly httpStatus: number;
  /** The one user it was made for, where the record has others; a letter leaves it out. */
  readonly userId?: string;
  /** W3C trace context of its span, if it was traced. */
  readonly traceparent?: string;
}

/**
 * A user whose calls failed while those of others passed, in a way that no code names. From then on they are
 * called alone, so that they hold up nobody. The answer is that of the last failure.
 */
export interface Suspicion extends Pick<Attempt, 'errorCode' | 'httpStatus'> {
  /** ms since 1970, Redis's clock. */
  readonly since: number;
  /** Calls for this user alone that failed, while others passed or nobody else failed. */
  readonly failures: number;
  /** One safe line. */
  readonly errorInfo: string;
  /** A bare import passed meanwhile: what fails is the profile. */
  readonly hasAccount: boolean;
}

/** A call record as a run finds it. */
export interface CallRecord {
  readonly callId: string;
  readonly command: ImportCommand;
  /** Class of the slots that its first calls ask for. */
  readonly slotClass: 'live' | 'redrive';
  /**
   * Its entries as one text, for `entriesOf`: while a call is on its way that costs less to keep than its
   * hundreds of parts. Settled ones leave it; newer ones of suspects join it when a run claims it.
   */
  readonly packed: string;
  readonly cutAtMs: number;
  /** Transient failures so far, for the back-off. */
  readonly tries: number;
  readonly attempts: readonly Attempt[];
  /** By user ID. */
  readonly suspects: ReadonlyMap<string, Suspicion>;
  /** When its last call was given a slot, if nothing was heard of that call; else 0. Redis's clock. */
  readonly sentAtMs: number;
  /** When its first call was sent, 0 before; and how long the fleet had been held until then. */
  readonly firstSentAtMs: number;
  readonly heldMsAtFirst: number;
  /** Redis's time when the record was read. */
  readonly readAtMs: number;
}

/** Reads the fields of a record. */
export function readRecord(
  callId: string,
  readAtMs: number,
  fields: Readonly<Record<string, string>>,
): CallRecord {
  const number = (name: string): number => Number(fields[name] ?? 0);
  return {
    callId,
    command: fields.command as ImportCommand,
    slotClass: fields.class === 'redrive' ? 'redrive' : 'live',
    packed: fields.entries ?? '',
    cutAtMs: number('cutAt'),
    tries: number('tries'),
    attempts: JSON.parse(fields.attempts ?? '[]') as Attempt[],
    suspects: readSuspects(fields.suspects),
    sentAtMs: number('sentAt'),
    firstSentAtMs: number('firstSentAt'),
    heldMsAtFirst: number('heldMsAtFirst'),
    readAtMs,
  };
}

export function readSuspects(field: string | null | undefined): ReadonlyMap<string, Suspicion> {
  return new Map(Object.entries(JSON.parse(field || '{}') as Record<string, Suspicion>));
}

/** A live record as it was cut at `cutAtMs`, of which no call was made yet. */
export function freshRecord(
  callId: string,
  command: ImportCommand,
  packed: string,
  cutAtMs: number,
): CallRecord {
  return readRecord(callId, cutAtMs, { command, entries: packed, cutAt: String(cutAtMs) });
}

/** Reads a record's entries, each time once more. Throws a SyntaxError when its text is none of ours. */
export function entriesOf({ packed }: Pick<CallRecord, 'packed'>): RawEntry[] {
  // What is left of an entry without its ID are its fields.
  return (JSON.parse(packed) as string[][]).map((fields) => ({ eventId: fields.shift() ?? '', fields }));
}

/** The form in which scripts keep an entry: [eventId, name, value, …]. */
export function packEntries(entries: readonly RawEntry[]): string {
  return JSON.stringify(entries.map(({ eventId, fields }) => [eventId, ...fields]));
}

/**
 * The user whom an entry claims for its call, as cut.lua sees it before the entry is validated. '' when it
 * claims nobody; such an entry cannot be valid.
 */
export function claimedUser(fields: readonly string[]): string {
  const userId = namedUser(fields);
  return hasUserIdForm(userId) ? userId : '';
}

/** The user ID that an entry names, whether it is one or not; of a repeated field the last. '' for none. */
export function namedUser(fields: readonly string[]): string {
  return lastValueOf(fields, 'userId') ?? '';
}

/** How many first and last attempts are kept: of calls for many users, and of calls for one user of many. */
const KEPT = { shared: { first: 10, last: 40 }, single: { first: 3, last: 9 } } as const;

/**
 * Appends, and bounds: a day of retries is thousands of attempts, of which the first and the last tell most.
 */
export function withAttempt(attempts: readonly Attempt[], attempt: Attempt): Attempt[] {
  const { first, last } = attempt.userId === undefined ? KEPT.shared : KEPT.single;
  const own = attempts.filter(({ userId }) => userId === attempt.userId);
  const dropped = own.length < first + last ? undefined : own[first];
  return [...attempts.filter((one) => one !== dropped), attempt];
}

/** The attempts that were made for this user, as a letter tells them. */
export function attemptsOf(attempts: readonly Attempt[], user: string): Attempt[] {
  return attempts
    .filter(({ userId }) => userId === undefined || userId === user)
    .map(({ userId: _userId, ...attempt }) => attempt);
}
