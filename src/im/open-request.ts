import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { got } from 'got';
import type { Route } from '../proxy/route.ts';
import { type FaultAnswer, fault, faultOf, type Headers, type Phase } from './answers.ts';
import { bodyText } from './body-text.ts';

interface RawReply {
  readonly kind: 'reply';
  readonly httpStatus: number;
  readonly headers: Headers;
  readonly bodyText: string;
}

/** An answer for 100 accounts takes a few KiB. This also leaves room for a gateway's error page. */
const MAX_REPLY_BYTES = 1_048_576;

const post = got.extend({
  method: 'POST',
  retry: { limit: 0 },
  followRedirect: false,
  throwHttpErrors: false,
  decompress: false,
  headers: { 'user-agent': 'im-account-sync', 'content-type': 'application/json' },
  hooks: {
    init: [
      (_given, options) => {
        // No cache is used. got spreads these options into each request before all others, and each request
        // would get a hidden class of its own (decision 94).
        options.cacheOptions = {};
      },
    ],
  },
});

/**
 * A POST that connects before its path and body are known.
 *
 * A got stream connects when it is created and sends nothing, not even headers, until its body is written. So
 * the connection exists before the call's slot, and at the slot everything leaves in one write. It is a
 * connection that the agent kept, or a new one. Path and length are set last: no object of got's holds the
 * signature before.
 *
 * States: connecting → securing (https only) → ready → sent → over. Each state may go to `over` with a fault.
 */
export class OpenRequest {
  /** Resolves to true once connected (including TLS), to false if that fails. Never rejects. */
  readonly connected: Promise<boolean>;
  readonly #stream: ReturnType<typeof got.stream>;
  #phase: Phase = 'connecting';
  #over: FaultAnswer | RawReply | undefined;
  #request: ClientRequest | undefined;
  #timer: NodeJS.Timeout;
  #resolveConnected: (isConnected: boolean) => void = () => {};
  #resolveReply: ((result: RawReply | FaultAnswer) => void) | undefined;
  readonly #origin: string;
  readonly #route: Route;

  /** Starts to connect. `origin` is scheme, host and port only. */
  constructor(origin: string, route: Route, connectTimeoutMs: number) {
    this.#origin = origin;
    this.#route = route;
    this.connected = new Promise<boolean>((resolve) => {
      this.#resolveConnected = resolve;
    });
    this.#timer = setTimeout(
      () => this.#end(fault('connect', false, `none after ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const stream = post(origin, { isStream: true, agent: { http: route.http, https: route.https } });
    this.#stream = stream;
    stream.on('error', (error) => this.#end(faultOf(error, this.#phase)));
    stream.on('close', () => this.#end(faultOf(undefined, this.#phase)));
    stream.on('request', (request: ClientRequest) => {
      this.#request = request;
      if (request.socket) this.#onSocket(request.socket);
      else request.once('socket', (socket) => this.#onSocket(socket));
    });
    stream.on('response', (response: IncomingMessage) => {
      // A gateway may send 408 on an idle connection before we asked anything. That is no answer to a call.
      if (this.#phase !== 'sent') this.#end(fault('reset', false, 'the server spoke first'));
      else this.#collect(response);
    });
  }

  isConnected(): boolean {
    return this.#phase === 'ready' && this.#over === undefined && this.#request?.socket?.writable === true;
  }

  /** Sends, and resolves to the reply or to a fault. Never rejects; see PreparedCall.send in client.ts. */
  send(path: string, body: string, timeoutMs: number, onLeft?: () => void): Promise<RawReply | FaultAnswer> {
    if (this.#phase === 'sent') return Promise.resolve(fault('aborted', false, 'sent before'));
    const request = this.#request;
    if (this.#phase !== 'ready' || this.#over !== undefined || request === undefined) {
      return Promise.resolve(this.#end(fault('connect', false, 'not there in time')));
    }
    // The other end has closed the connection and got has not told us yet: nothing would leave.
    if (request.destroyed || request.socket?.writable !== true) {
      return Promise.resolve(this.#end(fault('reset', false)));
    }
    this.#phase = 'sent';
    const reply = new Promise<RawReply | FaultAnswer>((resolve) => {
      this.#resolveReply = resolve;
    });
    this.#timer = setTimeout(() => this.#end(fault('timeout', true, `${timeoutMs} ms`)), timeoutMs);
    if (onLeft !== undefined) request.once('finish', onLeft);
    const forwarded = this.#route.forwarded(this.#origin);
    request.path = forwarded === undefined ? path : this.#origin + path;
    if (forwarded?.login !== undefined) request.setHeader('proxy-authorization', forwarded.login);
    request.setHeader('content-length', Buffer.byteLength(body));
    this.#stream.end(body);
    return reply;
  }

  /** Gives the request up unsent and closes its connection. Does nothing after send(). */
  abandon(): void {
    if (this.#phase !== 'sent') this.#end(fault('aborted', false));
  }

  #onSocket(socket: Socket): void {
    // A way through a proxy is complete when it is handed over, TLS included.
    if (this.#request?.reusedSocket === true || !socket.connecting) this.#onReady();
    else if (socket instanceof TLSSocket) {
      socket.once('connect', () => {
        this.#phase = 'securing';
      });
      socket.once('secureConnect', () => this.#onReady());
    } else socket.once('connect', () => this.#onReady());
  }

  #onReady(): void {
    if (this.#over !== undefined) return;
    this.#phase = 'ready';
    clearTimeout(this.#timer);
    this.#resolveConnected(true);
  }

  #collect(response: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    this.#stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_REPLY_BYTES) this.#end(fault('garbage', true, `more than ${MAX_REPLY_BYTES} bytes`));
      else chunks.push(chunk);
    });
    this.#stream.on('end', () =>
      this.#end({
        kind: 'reply',
        httpStatus: response.statusCode ?? 0,
        headers: response.headers,
        bodyText: bodyText(Buffer.concat(chunks), response.headers, MAX_REPLY_BYTES),
      }),
    );
  }

  /** Ends the request unless it is over, and returns how it ended first. */
  #end(result: RawReply | FaultAnswer): RawReply | FaultAnswer {
    if (this.#over !== undefined) return this.#over;
    this.#over = result;
    clearTimeout(this.#timer);
    this.#resolveConnected(false);
    this.#resolveReply?.(result);
    // A complete reply has already returned its connection to the agent. A connection that failed, or was
    // answered before we had sent everything, must not be used again.
    if (result.kind === 'fault' || this.#request?.writableFinished !== true) this.#stream.destroy();
    return result;
  }
}
