import { isAbsent, isKnownField, KNOWN_FIELDS, type Outcome } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { byteLength, cut } from '../event/text.ts';
import { kindOf } from '../event/user-id.ts';
import type { UserCreatedProducer } from '../producer/producer.ts';
import { type ImportOutcome, InvalidUserError, type NotAcceptedError } from '../producer/results.ts';
import type { JsonUser } from './body.ts';

/** Takes the users of a body to the producer, and tells for each user what became of it. */

/** Largest user: names and texts together, in bytes. All that an event can carry fits. */
export const MAX_USER_BYTES = 512 * 1024;
/** Users sent to Redis together. Other work of the process gets its turn between two slices. */
const SLICE = 100;
const PENDING: ReportedOutcome = { outcome: 'pending', errorCode: 0, hasAccount: false };
const NOT_ACCEPTED =
  'Redis did not acknowledge the event, so that it may be lost. Send this user again; a repeat does no harm.';

/** A user of a body: as the producer takes it, or why it cannot be read. */
export interface ReadUser {
  /** Its ID for the answer, cut to 200 characters; undefined when it has none that is text. */
  readonly userId: string | undefined;
  readonly user: UserInput | undefined;
  /** Empty when there is a `user`. The producer then judges whether that one is valid. */
  readonly problems: readonly string[];
}

/** How an event ended, for a request that waits. */
export interface ReportedOutcome extends Pick<Outcome, 'errorCode' | 'reason' | 'hasAccount'> {
  /** `pending`: not known in time. The event is worked off all the same. */
  readonly outcome: Outcome['outcome'] | 'pending';
}

/** What became of one user of a request. */
export type UserResult = {
  /** Position in the body, from 0. Blank lines of NDJSON do not count. */
  readonly index: number;
  readonly userId?: string;
} & (
  | ({ readonly eventId: string } & Partial<ReportedOutcome>)
  | {
      /** `invalid`: the user is not valid. `not-accepted`: Redis did not acknowledge it. */
      readonly error: 'invalid' | 'not-accepted';
      readonly reasons: readonly string[];
    }
);

/** The answer to a request whose body could be read. */
export interface ResultsBody {
  readonly accepted: number;
  readonly refused: number;
  readonly results: readonly UserResult[];
}

/** Spelling without case, blanks, dashes and underscores, by which a misspelt field is recognised. */
const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]/g, '');
const bySpelling: ReadonlyMap<string, string> = new Map(KNOWN_FIELDS.map((name) => [plain(name), name]));

/**
 * Reads one user: a flat object with the field names of an event. Unknown fields travel along, as they do in
 * the stream. A known name that is misspelt is refused, since `face_url` would cost the picture unnoticed.
 * `traceparent` is the request's, for a user that has none of its own. Never throws.
 */
export function readUser(json: JsonUser, traceparent?: string): ReadUser {
  if (json === undefined) return unreadable('this is not valid JSON');
  const { value } = json;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return unreadable(`a user must be a JSON object with a userId, not ${kindOf(value)}`);
  }
  const fields = Object.entries(value);
  const bytes = bytesOf(fields);
  if (bytes > MAX_USER_BYTES)
    return unreadable(`the user takes ${bytes} bytes; ${MAX_USER_BYTES} is the most`);
  const known = Object.fromEntries(fields.filter(([name]) => isKnownField(name)));
  const userId = typeof known.userId === 'string' ? cut(known.userId, 200) : undefined;
  const problems = fields.flatMap(([name]) => misspelt(name));
  if (problems.length > 0) return { userId, user: undefined, problems };
  const further = fields.filter(([name]) => !isKnownField(name));
  const user = {
    ...known,
    ...(isAbsent(known.traceparent) && traceparent !== undefined && { traceparent }),
    ...(further.length > 0 && { extra: Object.fromEntries(further) }),
  };
  // The types of the values are not certain yet: the producer validates them.
  return { userId, user: user as unknown as UserInput, problems: [] };
}

function unreadable(problem: string): ReadUser {
  return { userId: undefined, user: undefined, problems: [problem] };
}

/** Values other than text count nothing: they are short, or the producer refuses them. */
function bytesOf(fields: readonly (readonly [name: string, value: unknown])[]): number {
  return fields.reduce(
    (sum, [name, value]) => sum + byteLength(name) + (typeof value === 'string' ? byteLength(value) : 0),
    0,
  );
}

function misspelt(name: string): string[] {
  const right = bySpelling.get(plain(name));
  if (right === undefined || right === name) return [];
  return [`the field ${JSON.stringify(cut(name, 40))} must be written ${right}`];
}

/** What the HTTP intake needs of a producer. */
export type Sender = Pick<UserCreatedProducer, 'addMany' | 'importMany'>;

/** A producer's answer for one user; with `outcome` when the request waits for it. */
type SendAnswer =
  | { readonly ok: true; readonly eventId: string; readonly outcome?: Promise<ImportOutcome> }
  | { readonly ok: false; readonly error: InvalidUserError | NotAcceptedError };

/** Users that were sent, and the outcomes still to come. */
export interface Sent {
  /** One for each user, in order. */
  readonly results: readonly UserResult[];
  /** By index: the outcome, once it is known. Empty when the request does not wait. */
  readonly outcomes: ReadonlyMap<number, Promise<ImportOutcome>>;
}

/**
 * Sends users in order, in slices, and says for each what Redis acknowledged. After a slice of which Redis
 * took nothing the rest is not tried: it would wait as long and fail likewise. Never rejects.
 *
 * With `waitMs`, outcomes are collected for so long; those unknown by then end as `pending`.
 */
export async function sendUsers(
  sender: Sender,
  users: readonly ReadUser[],
  waitMs: number | undefined,
  onTrouble: (reason: string) => void,
): Promise<Sent> {
  const results: UserResult[] = [];
  const outcomes = new Map<number, Promise<ImportOutcome>>();
  const untilMs = performance.now() + (waitMs ?? 0);
  const asked = waitMs === undefined ? users : users.map(withoutChannel);
  let away = false;
  for (let from = 0; from < asked.length; from += SLICE) {
    const slice = asked.slice(from, from + SLICE);
    const sent = away ? [] : slice.flatMap(({ user }) => user ?? []);
    const answers = await sendSlice(sender, sent, waitMs === undefined ? undefined : untilMs);
    let next = 0;
    for (const [i, read] of slice.entries()) {
      const index = from + i;
      const answer = read.user === undefined ? undefined : answers[next++];
      results.push(resultOf(index, read, answer));
      if (answer?.ok && answer.outcome) outcomes.set(index, answer.outcome);
    }
    const refusal = answers.find((one) => !one.ok && !(one.error instanceof InvalidUserError));
    if (refusal?.ok === false) onTrouble(refusal.error.message);
    away ||= refusal !== undefined && !answers.some(({ ok }) => ok);
  }
  return { results, outcomes };
}

async function sendSlice(
  sender: Sender,
  users: readonly UserInput[],
  untilMs: number | undefined,
): Promise<readonly SendAnswer[]> {
  if (users.length === 0) return [];
  if (untilMs === undefined) return sender.addMany(users);
  const importing = await sender.importMany(users, { timeoutMs: Math.max(0, untilMs - performance.now()) });
  // Perhaps only the subscription for outcomes failed. Users are accepted without it.
  return importing.some((one) => one.ok || one.error instanceof InvalidUserError)
    ? importing
    : sender.addMany(users);
}

function resultOf(index: number, read: ReadUser, answer: SendAnswer | undefined): UserResult {
  const place = { index, ...(read.userId !== undefined && { userId: read.userId }) };
  if (read.user === undefined) return { ...place, error: 'invalid', reasons: read.problems };
  if (answer?.ok) return { ...place, eventId: answer.eventId };
  if (answer?.error instanceof InvalidUserError) {
    return { ...place, error: 'invalid', reasons: answer.error.problems };
  }
  return { ...place, error: 'not-accepted', reasons: [NOT_ACCEPTED] };
}

/** Refuses a user with a channel of its own: an outcome is reported in one place only. */
function withoutChannel(read: ReadUser): ReadUser {
  if (isAbsent(read.user?.replyTo)) return read;
  const problem = 'replyTo and the preference to wait exclude each other: leave one of them out';
  return { ...read, user: undefined, problems: [problem] };
}

/**
 * The results with their outcomes, once all are known or `stopped` resolves. Every accepted user gets an
 * outcome; one that is not known is `pending`.
 */
export async function withOutcomes(
  { results, outcomes }: Sent,
  stopped: Promise<void>,
): Promise<UserResult[]> {
  const known = new Map<number, ReportedOutcome>();
  const all = [...outcomes].map(async ([index, coming]) => {
    const { outcome, errorCode, reason, hasAccount } = { reason: undefined, ...(await coming) };
    known.set(index, { outcome, errorCode, hasAccount, ...(reason !== undefined && { reason }) });
  });
  await Promise.race([Promise.all(all), stopped]);
  return results.map((result) => {
    if (!('eventId' in result)) return result;
    return { ...result, ...(known.get(result.index) ?? PENDING) };
  });
}

/**
 * The status of an answer: 202 when Redis has every user, 207 when it has some. When it has none: 400 when no
 * user is valid, 503 when a repeat may succeed. Pure.
 */
export function statusOf(results: readonly UserResult[]): 202 | 207 | 400 | 503 {
  const { accepted } = bodyOf(results);
  if (accepted === results.length) return 202;
  if (accepted > 0) return 207;
  return results.some((result) => 'error' in result && result.error === 'not-accepted') ? 503 : 400;
}

export function bodyOf(results: readonly UserResult[]): ResultsBody {
  const accepted = results.filter((result) => 'eventId' in result).length;
  return { accepted, refused: results.length - accepted, results };
}
