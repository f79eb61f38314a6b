import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { within } from '../lifecycle/wait.ts';
import { atMostEvery } from '../logging/line-limit.ts';
import type { Logger } from '../logging/log.ts';
import type { RedisClient } from '../redis/connect.ts';
import { type Caller, refuseForeignHost, refuseForeignOrigin, refuseForeignRead } from './access/origin.ts';
import { type AccessOptions, bearerIn, personOf } from './access/person.ts';
import type { Page } from './page.ts';
import { malformed, notAllowed, notFound, Refusal, stopping } from './refusal.ts';

/** An act is a list of IDs at most. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_MS = 15_000;
const HEADERS_MS = 10_000;
const KEEP_ALIVE_MS = 75_000;
const MAX_CONNECTIONS = 500;
/** A client that takes nothing of its answer is given up when Node has seen that twice. No act takes so long. */
const STALLED_MS = 120_000;
/** A page that asks each second or two must not wait longer for a Redis that is silent. */
const READ_MS = 5_000;
/** Shorter answers gain nothing by compression. */
const LEAST_COMPRESSED_CHARS = 1_400;
const LINE_EVERY_MS = 60_000;

/** Nothing runs, loads or frames this page but what comes from the console itself. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
} as const;

export interface AppOptions {
  readonly access: AccessOptions;
  readonly allowedHosts: readonly string[];
  readonly basePath: string;
  readonly callerOf: (request: FastifyRequest) => Caller;
  readonly page: Page;
  readonly redis: RedisClient;
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

/** The application without its routes: who may ask what from where, bounds, and one form for all errors. */
export function createApp(options: AppOptions): FastifyInstance {
  const { access, allowedHosts, basePath, callerOf, page, redis, log } = options;
  const answerError = createErrorAnswer(log, redis);
  const app = fastify({
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: STALLED_MS,
    return503OnClosing: false,
    // One would be answered at once, and the reading that nobody waits for would go on.
    exposeHeadRoutes: false,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: 1_000 },
    http: { headersTimeout: HEADERS_MS },
    frameworkErrors: answerError,
    // A proxy hands the path on as it is, or without its own part.
    rewriteUrl: ({ url = '/' }) => withoutBase(url, basePath),
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: true, useDefaults: true, allErrors: false },
    },
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  app.decorateRequest('person', null);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? {} : JSON.parse(String(body)));
    } catch {
      done(malformed('The body is not valid JSON.'));
    }
  });
  app.addHook('onRoute', (route) => {
    const { handler, config } = route;
    if (route.method !== 'GET' || config?.rights !== 'view' || route.url.endsWith('/export')) return;
    route.handler = function bounded(request, reply) {
      return within(Promise.resolve(handler.call(this, request, reply)), READ_MS, '').catch(
        (error: Error) => {
          throw error.message === '' ? redisAway() : error;
        },
      );
    };
  });
  app.addHook('onRequest', async (request, reply) => {
    // The page's files say themselves how long they keep.
    reply.headers({ ...HEADERS, 'cache-control': 'no-store' });
    const caller = callerOf(request);
    refuseForeignHost(caller, allowedHosts);
    if (options.stopping.aborted) throw stopping();
    if (request.is404) return;
    await admit(request, caller, access);
  });
  app.addHook('onSend', compressed);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(async (request, reply) => {
    const path = decodedPath(request.url);
    const isPage = (request.method === 'GET' || request.method === 'HEAD') && !`${path}/`.startsWith('api/');
    if (isPage && (await page.answer(reply, path))) return reply;
    if (isPage && !page.isBuilt) throw notBuilt();
    throw notFound('such path');
  });
  return app;
}

/** One form for all errors. What is our own fault is logged, too. */
function createErrorAnswer(log: Logger, redis: RedisClient) {
  const brokeLine = atMostEvery(LINE_EVERY_MS);
  return (error: FastifyError | Error, _request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = refusalOf(error, redis);
    if (refusal.status === 500)
      brokeLine(() =>
        log.error(
          { reason: error.message, stack: error.stack },
          'the console answered 500: a bug, please report it',
        ),
      );
    const { status, error: word, message, advice, retryAfterSeconds } = refusal;
    if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    // A path that cannot be decoded meets no hook.
    reply.headers({ ...HEADERS, 'cache-control': 'no-store' });
    reply.header('content-type', 'application/json; charset=utf-8');
    return reply.code(status).send({ error: word, message, advice });
  };
}

/** Finds out who asks, and refuses what they may not do, or what another site asks for in their name. */
async function admit(request: FastifyRequest, caller: Caller, access: AccessOptions): Promise<void> {
  const { rights = 'act' } = request.routeOptions.config;
  const isAct = request.method !== 'GET' && request.method !== 'HEAD';
  const isProgram = bearerIn(request.headers) !== undefined;
  // Signing in is checked, too: another site must not sign somebody in as another.
  if (isAct)
    refuseForeignOrigin(caller, request.headers, isProgram || (rights === 'none' && !hasCookie(request)));
  else refuseForeignRead(request.headers);
  if (rights === 'none') return;
  const person = await personOf(access, caller, request.headers, isAct);
  if (rights === 'act' && person.rights !== 'act') throw notAllowed(person.name);
  request.person = person;
}

function hasCookie({ headers }: FastifyRequest): boolean {
  return headers.cookie !== undefined || headers['sec-fetch-site'] !== undefined;
}

function withoutBase(url: string, basePath: string): string {
  if (basePath === '' || !url.startsWith(basePath)) return url;
  const rest = url.slice(basePath.length);
  return rest === '' || rest.startsWith('?') ? `/${rest}` : rest.startsWith('/') ? rest : url;
}

function decodedPath(url: string): string {
  try {
    return decodeURIComponent(url.split('?', 1)[0] ?? '').replace(/^\//, '');
  } catch {
    return '';
  }
}

const zip = promisify(gzip);

/** Answers as JSON are compressed; the page's files are already. */
async function compressed(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  if (typeof payload !== 'string' || payload.length < LEAST_COMPRESSED_CHARS) return payload;
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return payload;
  reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding');
  const body = await zip(payload, { level: 4 });
  reply.header('content-length', body.length);
  return body;
}

function redisAway(): Refusal {
  const message = 'Redis does not answer at present.';
  const advice =
    'Look whether it runs and is reachable from here; the console goes on by itself when it is back.';
  return new Refusal(503, 'redis-away', message, advice, 2);
}

function notBuilt(): Refusal {
  const message = 'The page of the console was not built; its API is there.';
  return new Refusal(
    404,
    'not-found',
    message,
    'Run npm run build, or install the package, which holds the page.',
  );
}

/** Any error as an answer: what happened, and what to do. */
function refusalOf(error: FastifyError | Error, redis: RedisClient): Refusal {
  if (error instanceof Refusal) return error;
  const { code, statusCode } = error as FastifyError;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Refusal(
      413,
      'too-large',
      'The body is larger than 64 KiB.',
      'Send fewer IDs at once, or a filter.',
    );
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const message = 'The body is not application/json.';
    return new Refusal(415, 'unsupported-media-type', message, 'Send Content-Type: application/json.');
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return malformed(`The request cannot be read: ${error.message}.`);
  }
  // What the lookup of a user says (http-intake/get-user.ts).
  if (error.name === 'RefusedRequest') {
    const { status, message } = error as Error & { status: number };
    return 'error' in error && error.error === 'busy'
      ? new Refusal(429, 'too-many', message, 'Try again in a second.', 1)
      : status === 503
        ? redisAway()
        : malformed(message);
  }
  if (
    redis.status !== 'ready' ||
    /^(Redis (cannot|did not)|Command timed out|Connection is closed)/.test(error.message)
  )
    return redisAway();
  if (/^OOM /.test(error.message)) {
    const message = 'Redis is full and takes no more.';
    return new Refusal(503, 'redis-full', message, 'Raise its maxmemory, or find what fills it.', 5);
  }
  if (/\b(MISCONF|READONLY|NOREPLICAS)\b/.test(error.message)) {
    const message = `Redis takes no writes: ${error.message}`;
    return new Refusal(503, 'redis-refuses', message, 'Look at its log, its disk and its role.', 5);
  }
  if (error.name === 'ReplyError' || error.message.startsWith('Redis answers')) {
    const advice = 'Look at the rights of the user of Redis (docs/security.md) and at its log.';
    return new Refusal(503, 'redis-away', `Redis answered with an error: ${error.message}`, advice, 2);
  }
  const message = 'The answer cannot be given: a bug.';
  return new Refusal(500, 'internal', message, 'Please report it with the log line of this process.');
}
