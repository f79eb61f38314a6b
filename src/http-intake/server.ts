import type { ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ListenError, listenProblem } from '../lifecycle/listen-problem.ts';
import { RefusedRequest } from './refused-request.ts';
import type { IntakeLog } from './request-log.ts';
import type { IntakeMetrics } from './request-metrics.ts';
import type { TokenKeeper } from './tokens.ts';

/** The listener of the HTTP intake: tokens, time limits, errors and the end. */
export interface IntakeServer {
  /** `http://host:port`, with the port that is in use. */
  readonly url: string;
  /** Finishes the requests in hand. Their connections are closed after `withinMs`. */
  close(withinMs: number): Promise<void>;
}

export interface IntakeRoutes {
  /** Answers POST /v1/users. Throws RefusedRequest. */
  postUsers(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
  /** Answers GET /v1/users/{id}. Throws RefusedRequest. */
  getUser(userId: string): Promise<object>;
  readonly openapi: object;
}

/** Time for a whole request to arrive; a body of 1 MiB then needs 35 KB/s. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
/** Longer than a load balancer's (usually 60 s), so that the balancer closes an idle connection first. */
const KEEP_ALIVE_MS = 75_000;
/** How often Node looks for requests that are too slow. */
const LOOK_EVERY_MS = 2_000;
const MAX_CONNECTIONS = 2_000;

/** Rejects with ListenError when it cannot listen. */
export async function startIntakeServer(options: {
  readonly host: string;
  readonly port: number;
  readonly routes: IntakeRoutes;
  readonly tokens: TokenKeeper;
  readonly metrics: IntakeMetrics;
  readonly log: IntakeLog;
}): Promise<IntakeServer> {
  const { host, port, routes, tokens, metrics, log } = options;
  const app = createApp(metrics, log);
  let closing = false;
  app.addHook('onRequest', async (request) => {
    if (closing) throw new RefusedRequest(503, 'stopping', 'This worker is stopping. Try again.', 1);
    if (request.is404 || request.routeOptions.config.open === true) return;
    if (!tokens.admits(request.headers.authorization)) {
      const message = 'Send Authorization: Bearer and a token of IMSYNC_INTAKE_TOKENS.';
      throw new RefusedRequest(401, 'unauthorized', message);
    }
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (closing) reply.header('connection', 'close');
  });
  addRoutes(app, routes);
  await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    throw new ListenError(listenProblem(error, host, port, INTAKE_WORDS));
  });
  const bound = app.server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${shownHost}:${bound.port}`,
    async close(withinMs) {
      closing = true;
      const timer = setTimeout(() => app.server.closeAllConnections(), withinMs);
      await app.close();
      clearTimeout(timer);
    },
  };
}

/** The application without routes: its time limits, and one form for all errors. */
function createApp(metrics: IntakeMetrics, log: IntakeLog): FastifyInstance {
  const app = fastify({
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1_000 },
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: LOOK_EVERY_MS },
    // A path that cannot be decoded reaches no route.
    frameworkErrors: (error, request, reply) => {
      answerError(refusalOf(error, log), request, reply, log);
    },
    clientErrorHandler: (error, socket) => answerBadRequest(error, socket, metrics),
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  // Fastify must not read bodies: the route reads its own once it knows that it will use it.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onResponse', async (_request, reply) => metrics.answered(reply.statusCode));
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) =>
    answerError(refusalOf(error, log), request, reply, log),
  );
  app.setNotFoundHandler((request, reply) => {
    const message = 'There is nothing here. POST /v1/users, GET /v1/users/{id} or GET /openapi.json.';
    return answerError(new RefusedRequest(404, 'not-found', message), request, reply, log);
  });
  return app;
}

function addRoutes(app: FastifyInstance, routes: IntakeRoutes): void {
  app.post('/v1/users', (request, reply) => routes.postUsers(request, reply));
  app.get<{ Params: { id: string } }>('/v1/users/:id', async (request, reply) =>
    reply.send(await routes.getUser(request.params.id)),
  );
  // It says nothing that the public documentation does not, and tools read it without a token.
  app.get('/openapi.json', { config: { open: true } }, (_request, reply) => reply.send(routes.openapi));
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no token. */
    open?: boolean;
  }
}

const INTAKE_WORDS = {
  what: 'HTTP intake',
  inUse: 'Give it another one with IMSYNC_INTAKE_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_INTAKE_HOST',
  portVariable: 'IMSYNC_INTAKE_PORT',
};

/** Turns an error of Fastify about the request into our form. Any other error is a bug. */
function refusalOf(error: Error & { statusCode?: number }, log: IntakeLog): RefusedRequest {
  if (error instanceof RefusedRequest) return error;
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new RefusedRequest(400, 'malformed', `The request cannot be read: ${error.message}.`);
  }
  log.broke(error);
  const message =
    'The answer cannot be given: a bug, please report it. Users may or may not have been accepted.';
  return new RefusedRequest(500, 'internal', message);
}

function answerError(
  { status, error, message, retryAfterSeconds }: RefusedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
  log: IntakeLog,
): FastifyReply {
  if (error === 'unavailable' || error === 'memory') log.available(message);
  else if (error !== 'stopping' && error !== 'internal') log.refused(error, status, request.ip);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).send({ error, message });
}

/** Answers on the bare connection when its bytes are not HTTP, or came too slowly. */
function answerBadRequest(error: NodeJS.ErrnoException, socket: Socket, metrics: IntakeMetrics): void {
  const busy = (socket as Socket & { _httpMessage?: ServerResponse })._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable || busy?.headersSent === true) {
    socket.destroy();
    return;
  }
  const [status, words] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'Request Timeout']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'Request Header Fields Too Large']
        : [400, 'Bad Request'];
  metrics.answered(Number(status));
  const body = JSON.stringify({ error: 'malformed', message: `${words}: the request cannot be read.` });
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
