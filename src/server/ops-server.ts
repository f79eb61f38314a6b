import type { AddressInfo } from 'node:net';
import fastify, { type FastifyReply } from 'fastify';
import { ListenError, listenProblem } from './listen-problem.ts';
import type { StuckLoop } from './liveness.ts';

/** What the ops server tells. None of it changes anything. */
export interface OpsSources {
  /** Loops that do not turn; looks at nothing outside this process. */
  stuckLoops(): readonly StuckLoop[];
  /** Why no event could be accepted now; [] when one can. Rejects when that cannot be known in time. */
  readinessProblems(): Promise<readonly string[]>;
  /** Rejects when Redis does not answer in time. */
  status(): Promise<object>;
  /** Never rejects. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface OpsServer {
  /** `http://host:port`, the port as it came out. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Probes and scrapers are few; whoever opens more connections is none of them. */
const MAX_CONNECTIONS = 100;
const REQUEST_MS = 5_000;
const OPS_WORDS = {
  what: 'ops server',
  inUse: 'Give each worker a port of its own with IMSYNC_OPS_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_OPS_HOST',
  portVariable: 'IMSYNC_OPS_PORT',
};

/** Listens; rejects with ListenError when it cannot. */
export async function startOpsServer(
  sources: OpsSources,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<OpsServer> {
  const app = fastify({
    bodyLimit: 1_024,
    requestTimeout: REQUEST_MS,
    connectionTimeout: 6 * REQUEST_MS,
    keepAliveTimeout: 6 * REQUEST_MS,
    forceCloseConnections: true,
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  // Nothing here takes a body: whatever comes is not read, and the path decides.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setNotFoundHandler((_request, reply) =>
    answer(reply, 404, {
      error: 'There is nothing here. GET /livez, /readyz, /status or /metrics.',
    }),
  );
  app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    const refused = error.statusCode !== undefined && error.statusCode < 500;
    return answer(reply, refused ? (error.statusCode ?? 400) : 500, {
      error: refused ? 'The request cannot be read.' : 'The answer cannot be given: a bug, please report it.',
    });
  });

  for (const path of ['/livez', '/healthz']) {
    app.get(path, (_request, reply) => {
      const stuck = sources.stuckLoops().map(({ loop, stuckForMs }) => ({
        loop,
        since: new Date(Date.now() - stuckForMs).toISOString(),
        stuckForMs,
      }));
      return stuck.length === 0
        ? answer(reply, 200, { status: 'ok' })
        : answer(reply, 503, { status: 'stuck', stuck });
    });
  }
  app.get('/readyz', async (_request, reply) => {
    const problems = await sources.readinessProblems().catch((error: Error) => [error.message]);
    return problems.length === 0
      ? answer(reply, 200, { status: 'ok' })
      : answer(reply, 503, { status: 'unready', problems });
  });
  app.get('/status', async (_request, reply) => {
    const status = await sources.status().catch((error: Error) => error);
    return status instanceof Error
      ? answer(reply, 503, { error: status.message })
      : answer(reply, 200, status);
  });
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await sources.metrics();
    return reply.header('cache-control', 'no-store').type(contentType).send(text);
  });

  await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    throw new ListenError(listenProblem(error, host, port, OPS_WORDS));
  });
  const bound = app.server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${shownHost}:${bound.port}`,
    host,
    port: bound.port,
    close: () => app.close(),
  };
}

function answer(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').send(body);
}
