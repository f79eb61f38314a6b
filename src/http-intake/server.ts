import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Config, type ReadFile, refuseOn } from '../config/config.ts';
import { isLoopback } from '../config/formats.ts';
import { shortTokenProblems } from '../config/requirements.ts';
import { readSecrets } from '../config/secrets.ts';
import { listen } from '../lifecycle/listen.ts';
import type { Logger } from '../logging/log.ts';
import type { Heartbeat } from '../ops/liveness.ts';
import type { Ops } from '../ops/server.ts';
import { UserCreatedProducer } from '../producer/producer.ts';
import type { MemoryWatermark } from '../redis/memory-watermark.ts';
import { redisSettings } from '../redis/settings.ts';
import { MAX_BODY_BYTES, parseUsers, tooLarge } from './body.ts';
import { openapiDocument } from './openapi.ts';
import { createPostUsers } from './post-users.ts';
import { RefusedRequest } from './refused-request.ts';
import {
  createIntakeLog,
  createIntakeMetrics,
  type IntakeLog,
  type IntakeMetrics,
} from './request-report.ts';
import { traceRequests } from './request-trace.ts';
import { createTokenCheck, type TokenCheck } from './tokens.ts';

/** Requests in hand get this long to finish, or a third of the time to stop if that is less. */
const CLOSE_MS = 5_000;
/** Outcomes waited for at once. Those beyond are reported as pending at once. */
const MAX_WAITED_FOR = 100_000;
/** Time for a whole request to arrive; a body of 1 MiB then needs 35 KB/s. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
/** Longer than a load balancer's (usually 60 s), so that the balancer closes an idle connection first. */
const KEEP_ALIVE_MS = 75_000;
/** How often Node looks for requests that are too slow. */
const LOOK_EVERY_MS = 2_000;
const MAX_CONNECTIONS = 2_000;
const INTAKE_WORDS = {
  what: 'HTTP intake',
  inUse: 'Give it another one with IMSYNC_INTAKE_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_INTAKE_HOST',
  portVariable: 'IMSYNC_INTAKE_PORT',
};

/**
 * Opens the HTTP intake of one worker. Rejects with ListenError, or ConfigError when a token is too short.
 */
export async function openIntake(options: {
  readonly config: Config & { readonly intake: { readonly port: number } };
  readonly readFile: ReadFile;
  readonly version: string;
  readonly memory: MemoryWatermark;
  readonly heartbeat: Heartbeat;
  readonly registry: Ops['metrics']['registry'];
  /** Where a user is. Throws RefusedRequest. */
  readonly findUser: (userId: string) => Promise<object>;
  readonly isTraced: boolean;
  readonly log: Logger;
}) {
  const { config, readFile, version, memory, heartbeat, findUser } = options;
  const readTokens = (): readonly string[] => {
    const tokens = readSecrets(config, readFile).intakeTokens;
    refuseOn(shortTokenProblems('The file of IMSYNC_INTAKE_TOKENS_FILE', tokens));
    return tokens;
  };
  readTokens();
  const log = createIntakeLog(options.log);
  const metrics = createIntakeMetrics(options.registry);
  const isAdmitted = createTokenCheck(readTokens, log.tokens);
  const producer = new UserCreatedProducer({
    sdkAppId: config.app.sdkAppId,
    adminId: config.app.adminId,
    api: config.api.form,
    allowOddIds: config.allowOddIds,
    redis: redisSettings(config, readFile),
    maxWaiting: MAX_WAITED_FOR,
  });
  const stopping = new AbortController();
  const app = createApp(isAdmitted, metrics, log, stopping.signal, options.isTraced);
  const { onRequest, handler } = createPostUsers({ sender: producer, memory, heartbeat, metrics, log });
  app.register(async (scope) => {
    parseUsers(scope);
    scope.post('/v1/users', { onRequest }, handler);
  });
  app.get<{ Params: { id: string } }>('/v1/users/:id', ({ params }) => findUser(params.id));
  // It says nothing that the public documentation does not, and tools read it without a token.
  const document = openapiDocument(version);
  app.get('/openapi.json', { config: { open: true } }, async () => document);
  const { host, port } = config.intake;
  const start = () => app.listen({ host, port });
  const url = await listen(app.server, { host, port }, INTAKE_WORDS, start).catch(async (error: Error) => {
    await producer.close();
    throw error;
  });
  options.log.info({ url }, 'HTTP intake listens: POST /v1/users, GET /v1/users/{id}, /openapi.json');
  if (!isLoopback(host)) {
    options.log.warn(
      { host },
      'HTTP intake can be reached from other machines and speaks plain HTTP: put something that speaks TLS before it',
    );
  }
  return {
    /** `http://host:port`, with the port that is in use. */
    url,
    /** Answers requests in hand, at once those that wait for outcomes, then closes. */
    async close(): Promise<void> {
      stopping.abort();
      const withinMs = Math.min(CLOSE_MS, config.shutdownTimeoutMs / 3);
      const timer = setTimeout(() => app.server.closeAllConnections(), withinMs);
      // The producer ends the waits for outcomes as `pending`.
      await Promise.all([app.close(), producer.close()]);
      clearTimeout(timer);
    },
  };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no token. */
    open?: boolean;
  }
}

/** The application without routes: its time limits, tokens, and one form for all errors. */
function createApp(
  isAdmitted: TokenCheck,
  metrics: IntakeMetrics,
  log: IntakeLog,
  stopping: AbortSignal,
  isTraced: boolean,
): FastifyInstance {
  const answerError = (error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, error: word, message, retryAfterSeconds } = refusalOf(error, log);
    if (word === 'unavailable' || word === 'memory') log.available(message);
    else if (word !== 'stopping' && word !== 'internal') log.refused(word, status, request.ip);
    if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
    // The rest of a refused body is read and dropped, so that the client can read the answer.
    reply.removeHeader('connection');
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.code(status).send({ error: word, message });
  };
  const app = fastify({
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: 1_000 },
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: LOOK_EVERY_MS },
    // A path that cannot be decoded reaches no route.
    frameworkErrors: answerError,
    clientErrorHandler: (error, socket) => answerBadRequest(error, socket, metrics),
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  if (isTraced) traceRequests(app);
  // A body that no route wants is not read: anyone can send it, without a token.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (request) => {
    if (stopping.aborted) throw new RefusedRequest(503, 'stopping', 'This worker is stopping. Try again.', 1);
    if (request.is404 || request.routeOptions.config.open === true) return;
    if (!isAdmitted(request.headers.authorization)) {
      const message = 'Send Authorization: Bearer and a token of IMSYNC_INTAKE_TOKENS.';
      throw new RefusedRequest(401, 'unauthorized', message);
    }
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (stopping.aborted) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (_request, reply) => metrics.answered(reply.statusCode));
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const message = 'There is nothing here. POST /v1/users, GET /v1/users/{id} or GET /openapi.json.';
    return answerError(new RefusedRequest(404, 'not-found', message), request, reply);
  });
  return app;
}

/** Turns an error of Fastify about the request into our form. Any other error is a bug. */
function refusalOf(error: Error & { code?: string; statusCode?: number }, log: IntakeLog): RefusedRequest {
  if (error instanceof RefusedRequest) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge();
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new RefusedRequest(400, 'malformed', `The request cannot be read: ${error.message}.`);
  }
  log.broke(error);
  const message =
    'The answer cannot be given: a bug, please report it. Users may or may not have been accepted.';
  return new RefusedRequest(500, 'internal', message);
}

const BAD_REQUESTS: ReadonlyMap<string | undefined, number> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
  ['HPE_HEADER_OVERFLOW', 431],
]);

/** Answers on the bare connection when its bytes are not HTTP, or came too slowly. */
function answerBadRequest(error: NodeJS.ErrnoException, socket: Socket, metrics: IntakeMetrics): void {
  const busy = (socket as Socket & { _httpMessage?: ServerResponse })._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable || busy?.headersSent === true) {
    socket.destroy();
    return;
  }
  const status = BAD_REQUESTS.get(error.code) ?? 400;
  const words = STATUS_CODES[status];
  metrics.answered(status);
  const body = JSON.stringify({ error: 'malformed', message: `${words}: the request cannot be read.` });
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
