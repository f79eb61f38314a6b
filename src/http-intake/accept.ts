import { isAbsent } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { createBreath } from '../lifecycle/yield-to-event-loop.ts';
import type { UserCreatedProducer } from '../producer/producer.ts';
import { type Accepted, type Importing, type ImportOutcome, InvalidUserError } from '../producer/results.ts';
import { BodyError, type BodyForm, userTexts } from './body.ts';
import type { ToldOutcome, UserResult } from './results.ts';
import { type ReadUser, readUser } from './user.ts';

/** What the HTTP intake needs of a producer. */
export type Sender = Pick<UserCreatedProducer, 'addMany' | 'importMany'>;

/** Users sent together: few enough that a long list leaves the process its turns. */
const SLICE = 100;
const PENDING: ToldOutcome = { outcome: 'pending', errorCode: 0, hasAccount: false };
const NOT_ACCEPTED =
  'Redis did not acknowledge the event, so that it may be lost. Send this user again; a repeat does no harm.';

/** Reads all users of a body, in pieces. Rejects with BodyError when the body as a whole cannot be used. */
export async function readUsers(
  body: Buffer,
  form: BodyForm,
  traceparent: string | undefined,
): Promise<ReadUser[]> {
  const yieldToEventLoop = createBreath();
  const users: ReadUser[] = [];
  for (const text of userTexts(body, form)) {
    const read = readUser(text, traceparent);
    // A list is one JSON text: a part that is none makes it all unreadable. A line stands for itself.
    if (!read.isJson && form === 'json') {
      throw new BodyError(
        'malformed',
        `The body is not valid JSON (at user ${users.length}, counted from 0).`,
      );
    }
    users.push(read);
    await yieldToEventLoop();
  }
  return users;
}

/** Users on their way, and what is still to be heard of them. */
export interface Sent {
  /** For each user, in order. */
  readonly results: readonly UserResult[];
  /** By index: the outcome, once it is known. Empty unless they are waited for. */
  readonly outcomes: ReadonlyMap<number, Promise<ImportOutcome>>;
}

/**
 * Sends users in order, in slices, and answers for each what Redis acknowledged. After a slice of which Redis took
 * nothing the rest is not tried: it would wait as long and fare the same. Never rejects.
 *
 * `waitMs`: outcomes are listened for, and those that are not known after so long end as `pending`; undefined: not.
 */
export async function sendUsers(
  sender: Sender,
  users: readonly ReadUser[],
  waitMs: number | undefined,
  onTrouble: (reason: string) => void,
): Promise<Sent> {
  const yieldToEventLoop = createBreath();
  const results: UserResult[] = [];
  const outcomes = new Map<number, Promise<ImportOutcome>>();
  const untilMs = performance.now() + (waitMs ?? 0);
  let away = false;

  const note = (index: number, { userId }: ReadUser, one: Accepted | Importing | undefined): void => {
    const place = { index, ...(userId !== undefined && { userId }) };
    if (one?.ok) {
      results[index] = { ...place, eventId: one.eventId };
      if ('outcome' in one) outcomes.set(index, one.outcome);
    } else if (one?.error instanceof InvalidUserError) {
      results[index] = { ...place, error: 'invalid', reasons: one.error.problems };
    } else {
      results[index] = { ...place, error: 'not-accepted', reasons: [NOT_ACCEPTED] };
    }
  };

  const send = async (slice: readonly UserInput[]): Promise<readonly (Accepted | Importing)[]> => {
    if (waitMs === undefined) return sender.addMany(slice);
    const importing = await sender.importMany(slice, { timeoutMs: Math.max(0, untilMs - performance.now()) });
    // To listen may be what failed: accepting comes first.
    return importing.some((one) => one.ok || one.error instanceof InvalidUserError)
      ? importing
      : sender.addMany(slice);
  };

  for (let from = 0; from < users.length; from += SLICE) {
    const slice = users
      .slice(from, from + SLICE)
      .map((read) => (waitMs === undefined ? read : tellable(read)));
    const readable = slice.filter(({ user }) => user !== undefined);
    const answers: readonly (Accepted | Importing)[] = away
      ? []
      : await send(readable.flatMap(({ user }) => user ?? []));
    let next = 0;
    for (const [i, read] of slice.entries()) {
      const index = from + i;
      if (read.user !== undefined) note(index, read, answers[next++]);
      else {
        const { userId, problems } = read;
        results[index] = {
          ...{ index, ...(userId !== undefined && { userId }) },
          ...{ error: 'invalid' as const, reasons: problems },
        };
      }
    }
    const refusal = answers.find((one) => !one.ok && !(one.error instanceof InvalidUserError));
    if (refusal?.ok === false) onTrouble(refusal.error.message);
    away ||= refusal !== undefined && !answers.some(({ ok }) => ok);
    await yieldToEventLoop();
  }
  return { results, outcomes };
}

/** An outcome is told in one place: here, or on the user's own channel. */
function tellable(read: ReadUser): ReadUser {
  if (isAbsent(read.user?.replyTo)) return read;
  const problem = 'replyTo and the preference to wait exclude each other: leave one of them out';
  return { ...read, user: undefined, problems: [problem] };
}

/**
 * The results with their outcomes: those known when all are, or when `stopped` says so. Every accepted user gets one.
 */
export async function withOutcomes(
  { results, outcomes }: Sent,
  stopped: Promise<void>,
): Promise<UserResult[]> {
  const known = new Map<number, ToldOutcome>();
  const all = [...outcomes].map(async ([index, outcome]) => {
    const { outcome: word, errorCode, reason, hasAccount } = { reason: undefined, ...(await outcome) };
    known.set(index, { outcome: word, errorCode, hasAccount, ...(reason !== undefined && { reason }) });
  });
  await Promise.race([Promise.all(all), stopped]);
  return results.map((result) => {
    if (!('eventId' in result)) return result;
    return { ...result, ...(known.get(result.index) ?? PENDING) };
  });
}
