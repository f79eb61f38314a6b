import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAbsent, type Outcome } from '../event/event.ts';
import type { UserInput } from '../event/fields.ts';
import { InvalidUserError } from '../event/invalid-user.ts';
import { activeTraceparent } from '../event/traceparent.ts';
import type { Heartbeat } from '../ops/liveness.ts';
import type { ImportOutcome } from '../producer/outcome-inbox.ts';
import type { Accepted, UserCreatedProducer } from '../producer/producer.ts';
import { hasRoomForIntake, type MemoryWatermark, memoryText } from '../redis/memory-watermark.ts';
import { type JsonUser, MAX_BODY_BYTES, type ReadUser, readUser, refuseUnreadable } from './body.ts';
import { busy, REDIS_AWAY_SECONDS, RefusedRequest, redisAway } from './refused-request.ts';
import type { IntakeLog, IntakeMetrics } from './request-report.ts';

/** `Retry-After` while Redis is nearly full, in seconds. */
const MEMORY_SECONDS = 30;
/** Bytes of bodies held at once, over all requests of this process. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** The longest that a request can ask to wait for outcomes. */
export const MAX_WAIT_SECONDS = 30;
/** Between two slices the process gets its turn: the slots of its calls cannot wait. */
const SLICE_USERS = 100;
/** Not known in time. The event is worked off all the same. */
const PENDING: ReportedOutcome = { outcome: 'pending', errorCode: 0, hasAccount: false };
const NOT_ACCEPTED =
  'Redis did not acknowledge the event, so that it may be lost. Send this user again; a repeat does no harm.';

/** How an event ended, for a request that waits. */
type ReportedOutcome = Pick<ImportOutcome, 'outcome' | 'errorCode' | 'hasAccount'> & Pick<Outcome, 'reason'>;

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

/** POST /v1/users. Both steps throw RefusedRequest for a request that is refused as a whole. */
export function createPostUsers(options: {
  readonly sender: Sender;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly metrics: IntakeMetrics;
  readonly log: IntakeLog;
}) {
  const { sender, memory, heartbeat, metrics, log } = options;
  let heldBytes = 0;
  return {
    /** Refuses before the body is read. */
    async onRequest({ headers }: FastifyRequest, reply: FastifyReply): Promise<void> {
      refuseUnreadable(headers);
      const bytes = Math.min(Number(headers['content-length'] ?? MAX_BODY_BYTES), MAX_BODY_BYTES);
      if (heldBytes + bytes > MAX_HELD_BYTES) {
        throw busy('This worker holds as many bodies as it takes at once.');
      }
      heldBytes += bytes;
      reply.raw.once('close', () => {
        heldBytes -= bytes;
      });
      await refuseUnlessOpen(heartbeat, memory);
    },
    async handler(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const startedMs = performance.now();
      const { traceparent, prefer } = request.headers;
      // With traces on, the request has a span of its own, which belongs to the trace of the header.
      const trace = activeTraceparent() ?? (typeof traceparent === 'string' ? traceparent : undefined);
      const seconds = waitSecondsOf(prefer);
      const waitMs = seconds === undefined ? undefined : 1_000 * seconds;
      // The parsers of bodies (body.ts) leave a list of users.
      const users = (request.body as JsonUser[]).map((user) => readUser(user, trace));
      const sent = await sendUsers(sender, users, waitMs, log.available);
      metrics.accepted(performance.now() - startedMs);
      const tally = tallyOf(sent);
      const status = statusOf(tally);
      const { accepted, invalid, lost } = tally;
      metrics.users({ accepted, invalid, 'not-accepted': lost });
      if (invalid > 0) log.refused('invalid-users', status, request.ip);
      if (lost === 0 && accepted > 0) log.available(null);
      if (waitMs !== undefined) reply.header('preference-applied', `wait=${seconds}`);
      if (status === 503) reply.header('retry-after', String(REDIS_AWAY_SECONDS));
      const results =
        waitMs === undefined ? sent.map(({ result }) => result) : await Promise.all(sent.map(withOutcome));
      return reply.code(status).send({ accepted, refused: invalid + lost, results });
    },
  };
}

/** Refuses before a body is read: while Redis is away, or too full to accept more. */
async function refuseUnlessOpen(heartbeat: Heartbeat, memory: MemoryWatermark): Promise<void> {
  if (heartbeat.answeringSinceMs === null) throw redisAway();
  const seen = await memory.look().catch(() => {
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
  const wait = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[;,]|$)/i.exec(String(prefer ?? ''));
  return wait === null ? undefined : Math.min(Number(wait[1]), MAX_WAIT_SECONDS);
}

/** What the HTTP intake needs of a producer. */
export type Sender = Pick<UserCreatedProducer, 'addMany' | 'importMany'>;

/** A producer's answer for one user; with `outcome` when the request waits for it. */
type SendAnswer = Accepted & { readonly outcome?: Promise<ImportOutcome> };

/** A user that was sent: what Redis said, and the outcome still to come of a request that waits. */
interface SentUser {
  readonly result: UserResult;
  readonly outcome?: Promise<ImportOutcome>;
}

/**
 * Sends users in order, and says for each what Redis acknowledged. With `waitMs`, outcomes are collected for
 * so long; those unknown by then end as `pending`. Never rejects.
 */
export async function sendUsers(
  sender: Sender,
  users: readonly ReadUser[],
  waitMs: number | undefined,
  onTrouble: (reason: string) => void,
): Promise<SentUser[]> {
  const asked = waitMs === undefined ? users : users.map(withoutChannel);
  const valid = asked.flatMap(({ user }) => user ?? []);
  const add = (slice: readonly UserInput[]): Promise<SendAnswer[]> => sender.addMany(slice);
  const importInTime = (slice: readonly UserInput[]): Promise<SendAnswer[]> =>
    sender.importMany(slice, { timeoutMs: waitMs ?? 0 });
  let answers = await inSlices(valid, waitMs === undefined ? add : importInTime);
  // Perhaps only the subscription for outcomes failed. Users are accepted without it.
  if (waitMs !== undefined && answers.every(isLost)) answers = await inSlices(valid, add);
  const lost = answers.find(isLost);
  if (lost?.ok === false) onTrouble(lost.error.message);
  let next = 0;
  return asked.map((read, index) => {
    const answer = read.user === undefined ? undefined : answers[next++];
    const result = resultOf(index, read, answer);
    return answer?.ok && answer.outcome ? { result, outcome: answer.outcome } : { result };
  });
}

/** Sends slices in order, without waiting for answers: a silent Redis costs all of them one time-out. */
async function inSlices(
  users: readonly UserInput[],
  send: (slice: readonly UserInput[]) => Promise<SendAnswer[]>,
): Promise<SendAnswer[]> {
  const sent: Promise<SendAnswer[]>[] = [];
  for (let from = 0; from < users.length; from += SLICE_USERS) {
    sent.push(send(users.slice(from, from + SLICE_USERS)));
    await yieldToEventLoop();
  }
  return (await Promise.all(sent)).flat();
}

function isLost(answer: SendAnswer): boolean {
  return !answer.ok && !(answer.error instanceof InvalidUserError);
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

/** Each accepted user of a request that waits gets an outcome: the producer ends it in time or at its close. */
export async function withOutcome({ result, outcome }: SentUser): Promise<UserResult> {
  return 'eventId' in result ? { ...result, ...(await (outcome ?? PENDING)) } : result;
}

/** How many users Redis has, are not valid, or were not acknowledged. */
export function tallyOf(sent: readonly SentUser[]) {
  const refusedAs = (word: string): number =>
    sent.filter(({ result }) => 'error' in result && result.error === word).length;
  const [invalid, lost] = [refusedAs('invalid'), refusedAs('not-accepted')];
  return { accepted: sent.length - invalid - lost, invalid, lost };
}

/**
 * The status of an answer: 202 when Redis has every user, 207 when it has some. When it has none: 400 when no
 * user is valid, 503 when a repeat may succeed. Pure.
 */
export function statusOf({ accepted, invalid, lost }: ReturnType<typeof tallyOf>): 202 | 207 | 400 | 503 {
  if (accepted > 0) return invalid + lost === 0 ? 202 : 207;
  return lost > 0 ? 503 : 400;
}
