import type { FastifyReply, FastifyRequest } from 'fastify';
import { within } from '../lifecycle/wait.ts';
import type { Heartbeat } from '../ops/heartbeat.ts';
import {
  hasRoomForIntake,
  type Memory,
  type MemoryWatermark,
  memoryText,
} from '../redis/memory-watermark.ts';
import {
  bodyOf,
  readUser,
  type Sender,
  type Sent,
  sendUsers,
  statusOf,
  type UserResult,
  withOutcomes,
} from './accept.ts';
import { type BodyForm, bodyFormOf, createBodyMemory, readBody, usersOf } from './body.ts';
import { REDIS_AWAY_SECONDS, RefusedRequest, redisAway } from './refused-request.ts';
import type { IntakeLog } from './request-log.ts';
import type { IntakeMetrics } from './request-metrics.ts';

/** `Retry-After` while Redis is nearly full, in seconds. */
const MEMORY_SECONDS = 30;
/** Redis is taken to be away when a look at its memory takes longer. */
const LOOK_MS = 3_000;
/** Requests that wait for outcomes at once. Those beyond are answered without outcomes. */
const MAX_WAITING_REQUESTS = 1_000;
/** The longest that a request can ask to wait for outcomes. */
export const MAX_WAIT_SECONDS = 30;

export interface PostUsersOptions {
  readonly sender: Sender;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly metrics: IntakeMetrics;
  readonly log: IntakeLog;
  /** Resolves when the worker stops: requests that wait are answered with what is known. */
  readonly stopped: Promise<void>;
}

/** The handler of POST /v1/users. It throws RefusedRequest for a request that is refused as a whole. */
export function createPostUsers(
  options: PostUsersOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply> {
  const { memory, heartbeat, metrics, log, stopped } = options;
  const bodies = createBodyMemory();
  let waitingRequests = 0;

  const accept = async (request: FastifyRequest, form: BodyForm, waitMs?: number): Promise<Sent> => {
    const { body, release } = await readBody(request.raw, bodies);
    try {
      const startedMs = performance.now();
      const { traceparent } = request.headers;
      const trace = typeof traceparent === 'string' ? traceparent : undefined;
      const users = usersOf(body, form).map((user) => readUser(user, trace));
      const sent = await sendUsers(options.sender, users, waitMs, (reason) => log.available(reason));
      metrics.accepted(performance.now() - startedMs);
      return sent;
    } finally {
      release();
    }
  };

  const answer = (reply: FastifyReply, status: number, results: readonly UserResult[]): FastifyReply => {
    if (status === 503) reply.header('retry-after', String(REDIS_AWAY_SECONDS));
    return reply.code(status).send(bodyOf(results));
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
      countResults(sent.results, status, request.ip, metrics, log);
      if (!waits) return answer(reply, status, sent.results);
      const results = await withOutcomes(sent, stopped);
      reply.header('preference-applied', `wait=${seconds}`);
      return answer(reply, status, results);
    } finally {
      if (waits) waitingRequests--;
    }
  };
}

/** Refuses before a body is read: while Redis is away, or too full to accept more. */
async function refuseUnlessOpen(heartbeat: Heartbeat, memory: MemoryWatermark): Promise<void> {
  if (heartbeat.answeringSinceMs === null) throw redisAway();
  let seen: Memory;
  try {
    seen = await within(memory.look(), LOOK_MS, 'Redis does not answer');
  } catch {
    throw redisAway();
  }
  if (hasRoomForIntake(seen)) return;
  const message = `${memoryText(seen)}: what it holds must be worked off first. Try again later.`;
  throw new RefusedRequest(503, 'memory', message, MEMORY_SECONDS);
}

function countResults(
  results: readonly UserResult[],
  status: number,
  from: string,
  metrics: IntakeMetrics,
  log: IntakeLog,
): void {
  const refusedAs = (word: string): number =>
    results.filter((result) => 'error' in result && result.error === word).length;
  const invalid = refusedAs('invalid');
  const lost = refusedAs('not-accepted');
  metrics.users('accepted', results.length - invalid - lost);
  metrics.users('invalid', invalid);
  metrics.users('not-accepted', lost);
  if (invalid > 0) log.refused('invalid-users', status, from);
  if (lost === 0 && results.length > invalid) log.available(null);
}

/**
 * The seconds of `Prefer: wait=2` (RFC 7240), at most MAX_WAIT_SECONDS. Undefined when the header asks for no
 * wait, or its value is not a whole number. Of several the first counts. Pure.
 */
export function waitSecondsOf(prefer: string | readonly string[] | undefined): number | undefined {
  const all = typeof prefer === 'string' ? prefer : (prefer ?? []).join(',');
  for (const preference of all.split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2);
    if (name.trim().toLowerCase() !== 'wait') continue;
    const seconds = /^"?(\d{1,9})"?$/.exec(value.trim())?.[1];
    return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
  }
  return undefined;
}
