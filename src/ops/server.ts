import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isNativeError } from 'node:util/types';
import { ListenError, listenProblem } from '../lifecycle/listen-problem.ts';
import type { StuckLoop } from './liveness.ts';

/** What the ops server shows. It only reads. */
export interface OpsSources {
  /** Loops that are stuck. Looks at nothing outside this process. */
  stuckLoops(): readonly StuckLoop[];
  /** Why no event could be accepted now; empty when one could. Rejects when that is not known in time. */
  readinessProblems(): Promise<readonly string[]>;
  /** Rejects when Redis does not answer in time. */
  status(): Promise<object>;
  /** Never rejects. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface OpsServer {
  /** `http://host:port`, with the port that is in use. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Probes and scrapers need few connections. */
const MAX_CONNECTIONS = 100;
const REQUEST_MS = 5_000;
const OPS_WORDS = {
  what: 'ops server',
  inUse: 'Give each worker a port of its own with IMSYNC_OPS_PORT, or 0 for any free one.',
  hostVariable: 'IMSYNC_OPS_HOST',
  portVariable: 'IMSYNC_OPS_PORT',
};

/**
 * Rejects with ListenError when it cannot listen. It uses Node's own server: five paths without parameters
 * need no framework, which every worker would load at its start (docs/decisions/0092).
 */
export async function startOpsServer(
  sources: OpsSources,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<OpsServer> {
  const routes = routesOf(sources);
  const server = createServer(
    { requestTimeout: REQUEST_MS, keepAliveTimeout: 6 * REQUEST_MS },
    (request, response) => {
      void serve(routes, request, response);
    },
  );
  server.setTimeout(6 * REQUEST_MS);
  server.maxConnections = MAX_CONNECTIONS;
  await listens(server, host, port);
  const bound = server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `http://${shownHost}:${bound.port}`,
    host,
    port: bound.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listens(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new ListenError(listenProblem(error, host, port, OPS_WORDS))));
    server.listen({ host, port }, resolve);
  });
}

interface OpsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

type Routes = ReadonlyMap<string, () => OpsAnswer | Promise<OpsAnswer>>;

function routesOf(sources: OpsSources): Routes {
  const livez = (): OpsAnswer => {
    const stuck = sources.stuckLoops().map(({ loop, stuckForMs }) => ({
      loop,
      since: new Date(Date.now() - stuckForMs).toISOString(),
      stuckForMs,
    }));
    return stuck.length === 0 ? json(200, { status: 'ok' }) : json(503, { status: 'stuck', stuck });
  };
  const readyz = async (): Promise<OpsAnswer> => {
    const problems = await sources.readinessProblems().catch((error: Error) => [error.message]);
    return problems.length === 0 ? json(200, { status: 'ok' }) : json(503, { status: 'unready', problems });
  };
  const status = async (): Promise<OpsAnswer> => {
    const status = await sources.status().catch((error: Error) => error);
    return isNativeError(status) ? json(503, { error: status.message }) : json(200, status);
  };
  const metrics = async (): Promise<OpsAnswer> => ({ status: 200, ...(await sources.metrics()) });
  return new Map(
    Object.entries({
      '/livez': livez,
      '/healthz': livez,
      '/readyz': readyz,
      '/status': status,
      '/metrics': metrics,
    }),
  );
}

/** Answers by method and path alone; no body is read. Never rejects. */
async function serve(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?');
  const route = request.method === 'GET' || request.method === 'HEAD' ? routes.get(path) : undefined;
  const answer =
    route === undefined
      ? json(404, { error: 'There is nothing here. GET /livez, /readyz, /status or /metrics.' })
      : await Promise.resolve()
          .then(route)
          .catch(() => json(500, { error: 'The answer cannot be given: a bug, please report it.' }));
  response.writeHead(answer.status, {
    'cache-control': 'no-store',
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.text),
  });
  response.end(request.method === 'HEAD' ? undefined : answer.text);
}

function json(status: number, body: object): OpsAnswer {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) };
}
