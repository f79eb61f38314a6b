import { context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import { spanContextOf } from '../event/traceparent.ts';

declare module 'fastify' {
  interface FastifyRequest {
    span: Span | null;
  }
}

/**
 * Makes a SERVER span of each request, with what OpenTelemetry's conventions for HTTP servers ask for. It
 * continues the trace that the request's `traceparent` names, and events of the request belong to it. The
 * address of a user is not in it: the route stands for the path.
 */
export function traceRequests(app: FastifyInstance): void {
  const tracer = trace.getTracer('im-account-sync');
  app.decorateRequest('span', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const { traceparent } = request.headers;
    const remote = typeof traceparent === 'string' ? spanContextOf(traceparent) : undefined;
    const parent = remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
    const route = request.is404 ? '' : (request.routeOptions.url ?? '');
    const attributes = {
      'http.request.method': request.method,
      'url.scheme': 'http',
      ...(route !== '' && { 'http.route': route }),
    };
    const name = `${request.method} ${route}`.trim();
    request.span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    context.with(trace.setSpan(parent, request.span), done);
  });
  app.addHook('onResponse', async ({ span }, { statusCode }) => {
    span?.setAttribute('http.response.status_code', statusCode);
    if (statusCode >= 500) {
      span?.setAttribute('error.type', String(statusCode));
      span?.setStatus({ code: SpanStatusCode.ERROR });
    }
    span?.end();
  });
}
