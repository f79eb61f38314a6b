import type { Outcome } from '../../event/event.ts';
import { cut, unprintable } from '../../event/text.ts';

/**
 * The feed: what workers publish of their calls and of how events end, while somebody watches. Nothing of it
 * is stored. It carries no profile, no password and no text of the API that names a user.
 */

/** A call that was answered, or given up on. Users are counted, not named. */
export interface FeedCall {
  readonly kind: 'call';
  /** When it ended, ms since 1970, Redis's clock as the worker knows it. */
  readonly at: number;
  readonly command: string;
  /** Slot class; `probe` for the check of a hold. */
  readonly class: string;
  readonly users: number;
  /** Runs of its record before this one. */
  readonly tries: number;
  /** What came back: the API's error code, the HTTP status of another answer, or the name of a fault. */
  readonly answer: string;
  readonly errorInfo: string;
  readonly ms: number;
  readonly imported: number;
  readonly deadLettered: number;
  readonly later: number;
  readonly again: number;
}

/** How one event ended. `at`: ms since 1970, Redis's clock. */
export interface FeedOutcome extends Outcome {
  readonly kind: 'outcome';
  readonly at: number;
}

export type FeedRecord = FeedCall | FeedOutcome;

/** What a watcher wants to hear of. */
export interface Wanted {
  readonly calls: boolean;
  readonly outcomes: readonly Outcome['outcome'][];
  /** Answers of calls, and error codes of outcomes; none restricts nothing. */
  readonly answers: readonly string[];
  /** '' restricts nothing. */
  readonly userId: string;
}

/** A message on the channel `feedRequests`: a watcher asks, and asks again before LEASE_MS is over. */
export interface FeedRequest {
  readonly watcher: string;
  /** Null: the watcher leaves. */
  readonly wanted: Wanted | null;
}

/** A message on a watcher's channel. It may be empty: the worker is there and has nothing to tell. */
export interface FeedBatch {
  readonly worker: string;
  readonly version: string;
  /** Records since the last batch that were wanted and not sent: too many, or Redis did not take them. */
  readonly leftOut: number;
  readonly records: readonly FeedRecord[];
}

/** A watcher that has not asked for this long is gone, and so is a worker that has not answered. */
export const LEASE_MS = 6_000;
export const ASK_EVERY_MS = 2_000;

/** Whether a watcher wants a record. `users`: those whom it is about. Pure. */
export function isWanted(wanted: Wanted, record: FeedRecord, users: readonly string[]): boolean {
  const { calls, outcomes, answers, userId } = wanted;
  const isCall = record.kind === 'call';
  const answer = isCall ? record.answer : String(record.errorCode);
  return (
    (isCall ? calls : outcomes.includes(record.outcome)) &&
    (userId === '' || users.includes(userId)) &&
    (answers.length === 0 || answers.includes(answer))
  );
}

/** Reads a message of a watcher; undefined if it is none. Its name becomes part of a channel's. */
export function readRequest(message: string): FeedRequest | undefined {
  const { watcher, wanted } = readObject<FeedRequest>(message);
  if (typeof watcher !== 'string' || !/^[\w-]{1,64}$/.test(watcher)) return undefined;
  if (wanted === null) return { watcher, wanted };
  const { calls, outcomes, answers, userId } = wanted ?? {};
  if (typeof userId !== 'string' || !Array.isArray(answers) || !Array.isArray(outcomes)) return undefined;
  return { watcher, wanted: { calls: calls === true, outcomes, answers, userId } };
}

/** No date is later. */
const LAST_MS = 8.64e15;

const NUMBERS: Readonly<Record<string, readonly string[]>> = {
  call: ['at', 'users', 'tries', 'ms', 'imported', 'deadLettered', 'later', 'again'],
  outcome: ['at', 'errorCode'],
};

/** Whether it is a record of a known kind whose numbers are numbers: anybody may publish on a channel. */
function hasNumbers(record: Readonly<Record<string, unknown>>): boolean {
  return NUMBERS[String(record.kind)]?.every((name) => Number.isFinite(record[name])) === true;
}

/** Reads a message of a worker; undefined if it is none. Records that a newer worker knows are left out. */
export function readBatch(message: string): FeedBatch | undefined {
  const { worker, version, leftOut, records } = readObject<FeedBatch>(message);
  if (typeof worker !== 'string' || !Array.isArray(records)) return undefined;
  const known = (records as Partial<FeedRecord>[]).filter(
    (one) => one !== null && hasNumbers(one) && Math.abs(Number(one.at)) < LAST_MS,
  );
  return {
    ...{ worker, version: String(version), leftOut: Number(leftOut) || 0 },
    records: known as FeedRecord[],
  };
}

function readObject<T>(message: string): { readonly [K in keyof T]?: T[K] } {
  try {
    return (JSON.parse(message) ?? {}) as Partial<T>;
  } catch {
    return {};
  }
}

const MAX_CHARS = 300;

/** A text from elsewhere as one line for a terminal: what does not print stands as `\u{202e}`. */
export function escaped(text: string): string {
  return text.replace(unprintable, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** The same, cut to 300 characters. */
export function printable(text: unknown): string {
  return escaped(cut(String(text ?? ''), MAX_CHARS));
}

/** JSON for a terminal: the same value, with what does not print as `\u202e`. */
export function printableJson(value: unknown): string {
  const unit = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(unprintable, (char) => [...char.split('')].map(unit).join(''));
}
