import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Outcome } from '../event/event.ts';
import { isAbsent } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { activeTraceparent } from '../event/traceparent.ts';
import { within } from '../lifecycle/wait.ts';
import type { Heartbeat } from '../ops/liveness.ts';
import type { ImportOutcome } from '../producer/outcome-inbox.ts';
import { type Accepted, InvalidUserError, type UserCreatedProducer } from '../producer/producer.ts';
import { hasRoomForIntake, type MemoryWatermark, memoryText } from '../redis/memory-watermark.ts';
import { type BodyForm, BodyMemory, bodyFormOf, type ReadUser, readBody, readUser, usersOf } from './body.ts';
import { REDIS_AWAY_SECONDS, RefusedRequest, redisAway } from './refused-request.ts';
import type { IntakeLog, IntakeMetrics } from './request-report.ts';

/** `Retry-After` while Redis is nearly full, in seconds. */
const MEMORY_SECONDS = 30;
/** Redis is taken to be away when a look at its memory takes longer. */
const LOOK_MS = 3_000;
/** Requests that wait for outcomes at once. Those beyond are answered without outcomes. */
const MAX_WAITING_REQUESTS = 1_000;
/** The longest that a request can ask to wait for outcomes. */
export const MAX_WAIT_SECONDS = 30;
/** Users sent to Redis together. Other work of the process gets its turn between two slices. */
const SLICE = 100;
const PENDING: ReportedOutcome = { outcome: 'pending', errorCode: 0, hasAccount: false };
const NOT_ACCEPTED =
  'Redis did not acknowledge the event, so that it may be lost. Send this user again; a repeat does no harm.';

/** How an event ended, for a request that waits. */
type ReportedOutcome = Pick<Outcome, 'errorCode' | 'reason' | 'hasAccount'> & {
  /** `pending`: not known in time. The event is worked off all the same. */
  readonly outcome: ImportOutcome['outcome'];
};

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

/** The handler of POST /v1/users. It throws RefusedRequest for a request that is refused as a whole. */
export function createPostUsers(options: {
  readonly sender: Sender;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly metrics: IntakeMetrics;
  readonly log: IntakeLog;
  /** Resolves when the worker stops: requests that wait are answered with what is known. */
  readonly stopped: Promise<unknown>;
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { sender, memory, heartbeat, metrics, log, stopped } = options;
  const bodies = new BodyMemory();
  let waitingRequests = 0;

  const accept = async (request: FastifyRequest, form: BodyForm, waitMs?: number): Promise<Sent> => {
    const { body, release } = await readBody(request.raw, bodies);
    try {
      const startedMs = performance.now();
      const { traceparent } = request.headers;
      // With traces on, the request has a span of its own, which belongs to the trace of the header.
      const trace = activeTraceparent() ?? (typeof traceparent === 'string' ? traceparent : undefined);
      const users = usersOf(body, form).map((user) => readUser(user, trace));
      const sent = await sendUsers(sender, users, waitMs, log.available);
      metrics.accepted(performance.now() - startedMs);
      return sent;
    } finally {
      release();
    }
  };
  const count = (results: readonly UserResult[], status: number, from: string): void => {
    const refusedAs = (word: string): number =>
      results.filter((result) => 'error' in result && result.error === word).length;
    const invalid = refusedAs('invalid');
    const lost = refusedAs('not-accepted');
    metrics.users('accepted', results.length - invalid - lost);
    metrics.users('invalid', invalid);
    metrics.users('not-accepted', lost);
    if (invalid > 0) log.refused('invalid-users', status, from);
    if (lost === 0 && results.length > invalid) log.available(null);
  };

  return async (request, reply) => {
    const form = bodyFormOf(request.headers);
    await refuseUnlessOpen(heartbeat, memory);
    const seconds = waitSecondsOf(request.headers.prefer);
    const waits = seconds !== undefined && waitingRequests < MAX_WAITING_REQUESTS;
    if (waits) waitingRequests++;
    try {
      const sent = await accept(request, form, waits ? 1000 * seconds : undefined);
      const status = statusOf(sent.results);
      count(sent.results, status, request.ip);
      if (waits) reply.header('preference-applied', `wait=${seconds}`);
      if (status === 503) reply.header('retry-after', String(REDIS_AWAY_SECONDS));
      return reply.code(status).send(bodyOf(waits ? await withOutcomes(sent, stopped) : sent.results));
    } finally {
      if (waits) waitingRequests--;
    }
  };
}

/** Refuses before a body is read: while Redis is away, or too full to accept more. */
async function refuseUnlessOpen(heartbeat: Heartbeat, memory: MemoryWatermark): Promise<void> {
  if (heartbeat.answeringSinceMs === null) throw redisAway();
  const seen = await within(memory.look(), LOOK_MS, 'Redis does not answer').catch(() => {
    throw redisAway();
  });
  if (hasRoomForIntake(seen)) return;
  const message = `${memoryText(seen)}: what it holds must be worked off first. Try again later.`;
  throw new RefusedRequest(503, 'memory', message, MEMORY_SECONDS);
}

/**
 * The seconds of `Prefer: wait=2` (RFC 7240), at most MAX_WAIT_SECONDS. Undefined when the header asks for no
 * wait, or its value is not a whole number. Of several the first counts. Pure.
 */
export function waitSecondsOf(prefer: string | readonly string[] | undefined): number | undefined {
  for (const preference of String(prefer ?? '').split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2);
    if (name.trim().toLowerCase() !== 'wait') continue;
    const seconds = /^"?(\d{1,9})"?$/.exec(value.trim())?.[1];
    return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
  }
  return undefined;
}

/** What the HTTP intake needs of a producer. */
export type Sender = Pick<UserCreatedProducer, 'addMany' | 'importMany'>;

/** A producer's answer for one user; with `outcome` when the request waits for it. */
type SendAnswer = Accepted & { readonly outcome?: Promise<ImportOutcome> };

/** Users that were sent, and the outcomes still to come. */
interface Sent {
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
  stopped: Promise<unknown>,
): Promise<UserResult[]> {
  const known = new Map<number, ReportedOutcome>();
  const all = [...outcomes].map(async ([index, coming]) => {
    const { eventId: _eventId, userId: _userId, ...outcome } = await coming;
    known.set(index, outcome);
  });
  await Promise.race([Promise.all(all), stopped]);
  return results.map((result) =>
    'eventId' in result ? { ...result, ...(known.get(result.index) ?? PENDING) } : result,
  );
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

/** The answer to a request whose body could be read. */
export function bodyOf(results: readonly UserResult[]) {
  const accepted = results.filter((result) => 'eventId' in result).length;
  return { accepted, refused: results.length - accepted, results };
}
