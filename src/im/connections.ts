import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { got } from 'got';
import { type FaultAnswer, fault, faultOf, type Headers, type Phase } from './answers.ts';

interface RawReply {
  readonly kind: 'reply';
  readonly httpStatus: number;
  readonly headers: Headers;
  readonly bodyText: string;
}

export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
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
 * the connection exists before the call's slot, and at the slot everything leaves in one write. Path and
 * length are set last: no object of got's holds the signature, and an unused request can serve another.
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

  /** Starts to connect. `origin` is scheme, host and port only. */
  constructor(origin: string, agents: Agents, connectTimeoutMs: number) {
    this.connected = new Promise<boolean>((resolve) => {
      this.#resolveConnected = resolve;
    });
    this.#timer = setTimeout(
      () => this.#end(fault('connect', false, `none after ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const stream = post(origin, { isStream: true, agent: { ...agents } });
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

  /**
   * Sends, and resolves to the reply or to a fault. Never rejects. Call it only once. `onLeft` is called when
   * the operating system has taken all bytes.
   */
  send(path: string, body: string, timeoutMs: number, onLeft?: () => void): Promise<RawReply | FaultAnswer> {
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
    request.path = path;
    request.setHeader('content-length', Buffer.byteLength(body));
    this.#stream.end(body);
    return reply;
  }

  /** Gives the request up and closes its connection. */
  destroy(): void {
    this.#end(fault('aborted', this.#phase === 'sent'));
  }

  #onSocket(socket: Socket): void {
    if (socket.connecting) socket.once('connect', () => this.#onTcp(socket));
    else this.#onTcp(socket);
  }

  #onTcp(socket: Socket): void {
    if (this.#phase !== 'connecting') return;
    if (socket instanceof TLSSocket && secureConnecting(socket)) {
      this.#phase = 'securing';
      socket.once('secureConnect', () => this.#onReady());
    } else this.#onReady();
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
        bodyText: Buffer.concat(chunks).toString('utf8'),
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

/** True until the TLS handshake is done. Node has this property, its types do not. */
function secureConnecting(socket: TLSSocket): boolean {
  return (socket as TLSSocket & { readonly secureConnecting?: boolean }).secureConnecting === true;
}

/** Most unsent connections kept. Few are needed, since a call keeps its own from one slot to the next. */
const MAX_SPARES = 16;
/** Common gateways drop an idle connection after 60 s. We close it before. */
export const IDLE_MS = 55_000;

/** The connections to one host: those in use, those given up unsent, and one made ahead of its call. */
export class HostConnections {
  readonly url: string;
  /** The path before /v4. */
  readonly prefix: string;
  readonly #connect: () => OpenRequest;
  readonly #spares: { readonly open: OpenRequest; readonly expiry: NodeJS.Timeout }[] = [];
  /** An array and not a Set: a Set with many changes keeps its outgrown tables (decision 94). */
  readonly #inUse: OpenRequest[] = [];
  #expected: OpenRequest | undefined;
  #isClosed = false;

  constructor(url: string, agents: Agents, connectTimeoutMs: number) {
    const { origin, pathname } = new URL(url);
    this.url = url;
    this.prefix = pathname.replace(/\/+$/, '');
    this.#connect = () => new OpenRequest(origin, agents, connectTimeoutMs);
  }

  /** Makes a connection for a call that will come soon, unless one is on its way. */
  expect(): void {
    if (this.#expected !== undefined) return;
    const open = this.#use(this.#takeSpare() ?? this.#connect());
    this.#expected = open;
    void open.connected.then(() => {
      if (this.#expected !== open) return;
      this.#expected = undefined;
      this.giveBack(open);
    });
  }

  /** Takes a connection that exists, or starts to make one. It counts as in use. */
  take(): OpenRequest {
    const spare = this.#takeSpare();
    if (spare !== undefined) return this.#use(spare);
    return this.#takeExpected() ?? this.#use(this.#connect());
  }

  /** The call has ended, so the connection is no longer in use. */
  release(open: OpenRequest): void {
    const at = this.#inUse.indexOf(open);
    if (at >= 0) this.#inUse.splice(at, 1);
  }

  /** The call did not send. Keeps the connection for a later call if it is connected and there is room. */
  giveBack(open: OpenRequest): void {
    this.release(open);
    if (this.#isClosed || !open.isConnected() || this.#spares.length >= MAX_SPARES) open.destroy();
    // An expired request stays in the list until #takeSpare() finds that it is not connected.
    else this.#spares.push({ open, expiry: setTimeout(() => open.destroy(), IDLE_MS).unref() });
  }

  /** Closes the connections that carry no call. */
  close(): void {
    this.#isClosed = true;
    for (const { open, expiry } of this.#spares.splice(0)) {
      clearTimeout(expiry);
      open.destroy();
    }
    this.#takeExpected()?.destroy();
  }

  /** Closes all connections. A call on the wire ends in a fault, and its outcome stays unknown. */
  abort(): void {
    this.close();
    for (const open of [...this.#inUse]) open.destroy();
  }

  /** The latest unsent request that is still connected. */
  #takeSpare(): OpenRequest | undefined {
    for (let spare = this.#spares.pop(); spare !== undefined; spare = this.#spares.pop()) {
      clearTimeout(spare.expiry);
      if (spare.open.isConnected()) return spare.open;
      spare.open.destroy();
    }
    return undefined;
  }

  #takeExpected(): OpenRequest | undefined {
    const open = this.#expected;
    this.#expected = undefined;
    return open;
  }

  #use(open: OpenRequest): OpenRequest {
    this.#inUse.push(open);
    return open;
  }
}
