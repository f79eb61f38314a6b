import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { CommandName } from '../config/config.ts';
import { spanContextOf, traceparentOf } from '../event/traceparent.ts';

/**
 * The spans of a call. Names and attributes are those of OpenTelemetry's semantic conventions for messaging
 * (a batch that is processed, with a link for each message) and for HTTP clients; ours begin with `imsync.`.
 *
 *   process user-created  (CONSUMER, a trace of its own; links: the events, and the attempt before)
 *   ├── slot              from the question for a slot until the call left
 *   ├── POST              (CLIENT) the request
 *   └── settle            each settlement
 *
 * A span holds no user ID unless IMSYNC_TRACES_SHOW_USERS is set, and never a signature or a profile.
 */
export interface AnsweredCall {
  readonly callId: string;
  readonly command: CommandName;
  readonly slotClass: string;
  /** Earlier failures of the record. */
  readonly tries: number;
  readonly users: readonly string[];
  readonly eventCount: number;
  /** Events, and the spans of calls that were made for these users before, each once. Asked for if the call is sampled. */
  readonly linked: () => {
    readonly events: readonly { readonly eventId: string; readonly traceparent?: string | undefined }[];
    readonly before: ReadonlySet<string>;
  };
  /** When the slot was asked for, and when the answer came; `performance.now()`, ms. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly durationMs: number;
  /** 0 if no answer came. */
  readonly httpStatus: number;
  /** What failed: an error code of the API, an HTTP status or a fault's name; undefined: nothing. */
  readonly errorType: string | undefined;
}

/** How the users of a call ended. */
export interface CallResult {
  readonly imported: number;
  readonly deadLettered: number;
  readonly later: number;
  readonly again: number;
}

export interface CallTracerOptions {
  /** The intake stream. */
  readonly stream: string;
  /** Where calls go at the moment: without a query, which holds a signature. */
  readonly urlOf: (command: CommandName) => URL;
  readonly showUsers: boolean;
}

export class CallTracer {
  readonly #options: CallTracerOptions;
  readonly #tracer: Tracer;

  constructor(options: CallTracerOptions) {
    this.#options = options;
    this.#tracer = trace.getTracer('im-account-sync');
  }

  /**
   * Makes the span of a call that was answered, and runs `follow` inside it: log lines that are written there
   * carry its IDs. `traceparent` is that of the span; undefined if it is not sampled.
   */
  async follow<T>(call: AnsweredCall, follow: (traceparent: string | undefined) => Promise<T>): Promise<T> {
    const span = this.#tracer.startSpan(
      'process user-created',
      {
        kind: SpanKind.CONSUMER,
        startTime: call.askedAtMs,
        attributes: this.#attributesOf(call),
      },
      ROOT_CONTEXT,
    );
    const within = trace.setSpan(ROOT_CONTEXT, span);
    if (span.isRecording()) {
      span.addLinks(linksOf(call));
      const { askedAtMs, answeredAtMs, durationMs } = call;
      this.#tracer.startSpan('slot', { startTime: askedAtMs }, within).end(answeredAtMs - durationMs);
      this.#request(call, within);
    }
    if (call.errorType !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    return endingWith(span, () => context.with(within, follow, undefined, sampledTraceparent(span)));
  }

  /** What became of the users: attributes of the span of the call that runs. */
  ended({ imported, deadLettered, later, again }: CallResult): void {
    trace.getActiveSpan()?.setAttributes({
      'imsync.call.imported': imported,
      'imsync.call.dead_lettered': deadLettered,
      'imsync.call.later': later,
      'imsync.call.again': again,
    });
  }

  /** A settlement, as a child of the call that runs. Outside a call it is no span. */
  async settle<T>(store: () => Promise<T>): Promise<T> {
    if (trace.getActiveSpan() === undefined) return store();
    return endingWith(this.#tracer.startSpan('settle'), store);
  }

  #request(call: AnsweredCall, within: Context): void {
    const { command, answeredAtMs, durationMs, httpStatus, errorType } = call;
    const url = this.#options.urlOf(command);
    const attributes: Attributes = {
      'http.request.method': 'POST',
      'server.address': url.hostname,
      'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
      'url.full': `${url.origin}${url.pathname}`,
      ...(httpStatus > 0 && { 'http.response.status_code': httpStatus }),
      // The API answers errors with status 200: then the code is the error.
      ...(errorType !== undefined && { 'error.type': errorType }),
    };
    const startTime = answeredAtMs - durationMs;
    const span = this.#tracer.startSpan('POST', { kind: SpanKind.CLIENT, startTime, attributes }, within);
    if (errorType !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(answeredAtMs);
  }

  #attributesOf({
    callId,
    command,
    slotClass,
    tries,
    users,
    eventCount,
    errorType,
  }: AnsweredCall): Attributes {
    return {
      'messaging.system': 'redis',
      'messaging.destination.name': this.#options.stream,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.batch.message_count': eventCount,
      'imsync.call.id': callId,
      'imsync.call.command': command,
      'imsync.call.users': users.length,
      'imsync.call.tries': tries,
      'imsync.slot.class': slotClass,
      ...(errorType !== undefined && { 'error.type': errorType }),
      ...(this.#options.showUsers && { 'imsync.user_ids': [...users] }),
    };
  }
}

/** Ends the span with the work. If the work rejects, the span says so, and so does this. */
async function endingWith<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.setAttribute('error.type', (error as Error).name);
    throw error;
  } finally {
    span.end();
  }
}

function linksOf({ linked }: AnsweredCall): Link[] {
  const { events, before } = linked();
  const links: Link[] = [];
  // The SDK keeps 128 links by default, the first ones.
  for (const traceparent of before) {
    const context = spanContextOf(traceparent);
    if (context !== undefined) links.push({ context, attributes: { 'imsync.link': 'earlier attempt' } });
  }
  for (const { eventId, traceparent } of events) {
    const context = traceparent === undefined ? undefined : spanContextOf(traceparent);
    if (context !== undefined) links.push({ context, attributes: { 'messaging.message.id': eventId } });
  }
  return links;
}

function sampledTraceparent(span: Span): string | undefined {
  return span.isRecording() ? traceparentOf(span.spanContext()) : undefined;
}
