import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Config, type ReadFile, refuseOn } from '../config/config.ts';
import { isLoopback } from '../config/formats.ts';
import { shortTokenProblems } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { within } from '../lifecycle/within.ts';
import type { Logger } from '../logging/log.ts';
import type { Heartbeat } from '../ops/heartbeat.ts';
import type { Ops } from '../ops/open-ops.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import { hasRoomForIntake, type MemoryWatermark, memoryText } from '../redis/memory-watermark.ts';
import { redisSettings } from '../redis/settings.ts';
import { readUsers, sendUsers, withOutcomes } from './accept.ts';
import { BodyError, bodyFormOf, MAX_BODY_BYTES } from './body.ts';
import {
  REDIS_AWAY_SECONDS,
  RefusedRequest,
  readBody,
  redisAway,
  refusedBody,
  tooLarge,
} from './import-request.ts';
import { createIntakeLoad } from './limits.ts';
import { openapiDocument } from './openapi.ts';
import { waitSecondsOf } from './prefer.ts';
import { createIntakeLog } from './request-log.ts';
import { createIntakeMetrics } from './request-metrics.ts';
import { bodyOf, statusOf, type UserResult } from './results.ts';
import { startIntakeServer } from './server.ts';
import { createTokenKeeper } from './tokens.ts';

/** The HTTP intake of one worker. */
export interface Intake {
  readonly url: string;
  /** Answers the requests in hand, who waits at once, and lets go. */
  close(): Promise<void>;
}

const MEMORY_SECONDS = 30;
/** A look at Redis's memory that takes longer is an answer, too. */
const LOOK_MS = 3_000;
/** Requests in hand are let to their end for so long, if the time to stop allows it. */
const CLOSE_MS = 5_000;
/** Outcomes waited for at once; those beyond are pending at once. */
const MOST_WAITED_FOR = 100_000;

/** Rejects with ListenError when the port cannot be had, with ConfigError when a token is too short. */
export async function openIntake(options: {
  readonly config: Config & { readonly intake: { readonly port: number } };
  readonly readFile: ReadFile;
  readonly version: string;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly registry: Ops['registry'];
  /** Where a user is; throws RefusedRequest. */
  readonly findUser: (userId: string) => Promise<object>;
  readonly log: Logger;
}): Promise<Intake> {
  const { config, readFile, version, memory, heartbeat } = options;
  const readTokens = (): readonly string[] => readSecrets(config, readFile).intakeTokens;
  refuseOn(shortTokenProblems('The file of IMSYNC_INTAKE_TOKENS_FILE', readTokens()));
  const log = createIntakeLog(options.log);
  const metrics = createIntakeMetrics(options.registry);
  const load = createIntakeLoad();
  const producer = new UserCreatedProducer({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    api: config.api.form,
    redis: redisSettings(config, readFile),
    maxWaiting: MOST_WAITED_FOR,
  });
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });

  const isOpen = async (): Promise<void> => {
    if (heartbeat.answeringSinceMs === null) throw redisAway();
    let seen: Awaited<ReturnType<MemoryWatermark['look']>>;
    try {
      seen = await within(memory.look(), LOOK_MS, 'Redis does not answer');
    } catch {
      throw redisAway();
    }
    if (hasRoomForIntake(seen)) return;
    const message = `${memoryText(seen)}: what it holds must be worked off first. Try again later.`;
    throw new RefusedRequest(503, 'memory', message, MEMORY_SECONDS);
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

  const postUsers = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { headers, raw, ip } = request;
    const type = bodyFormOf(headers['content-type']);
    const encoding = headers['content-encoding'] ?? 'identity';
    if ('problem' in type || encoding !== 'identity') {
      const problem = 'problem' in type ? type.problem : `the content encoding is ${encoding.slice(0, 40)}`;
      const message = `Send application/json or application/x-ndjson, in UTF-8 and not compressed: ${problem}.`;
      throw new RefusedRequest(415, 'unsupported-media-type', message);
    }
    if (Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
    await isOpen();
    const seconds = waitSecondsOf(headers.prefer);
    const waits = seconds !== undefined && load.enter();
    try {
      const { body, release } = await readBody(raw, load);
      const startedMs = performance.now();
      const traceparent = headers.traceparent;
      const sent = await readUsers(body, type.form, typeof traceparent === 'string' ? traceparent : undefined)
        .then((users) =>
          sendUsers(producer, users, waits ? 1000 * seconds : undefined, (reason) => log.available(reason)),
        )
        .catch((error: Error) => {
          throw error instanceof BodyError ? refusedBody(error) : error;
        })
        .finally(release);
      metrics.accepted(performance.now() - startedMs);
      const status = statusOf(sent.results);
      count(sent.results, status, ip);
      const results = waits ? await withOutcomes(sent, stopped) : sent.results;
      if (waits) reply.header('preference-applied', `wait=${seconds}`);
      if (status === 503) reply.header('retry-after', String(REDIS_AWAY_SECONDS));
      return reply.code(status).send(bodyOf(results));
    } finally {
      if (waits) load.leave();
    }
  };

  const { host, port } = config.intake;
  const tokens = createTokenKeeper(readTokens, (problem) => log.tokens(problem));
  const server = await startIntakeServer({
    ...{ host, port, tokens, metrics, log },
    routes: { postUsers, getUser: options.findUser, openapi: openapiDocument(version) },
  }).catch(async (error: Error) => {
    await producer.close();
    throw error;
  });
  options.log.info(
    { url: server.url },
    'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json',
  );
  if (!isLoopback(host)) {
    options.log.warn(
      { host },
      'HTTP intake can be reached from other machines and speaks plain HTTP: put something that speaks TLS before it',
    );
  }
  return {
    url: server.url,
    async close() {
      stop();
      await server.close(Math.min(CLOSE_MS, config.shutdownTimeoutMs / 3));
      await producer.close();
    },
  };
}
