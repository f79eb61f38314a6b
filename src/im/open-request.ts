import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { got } from 'got';
import type { FaultAnswer, Headers } from './answers.ts';
import { fault, faultOf, type Phase } from './faults.ts';

/**
 * A POST whose connection stands before it is known what to post.
 *
 * A got stream connects when it is made and sends nothing until its body is written, headers included. So the
 * connection can be there before a call's slot, and at the slot everything leaves in one write. Path and length
 * are set last: the signature in the path enters no object of got's, and a request that was not used serves the
 * next call, whatever it is.
 *
 * connecting → securing (https) → ready → sent → over; every state may end in `over` with a fault.
 */
export interface OpenRequest {
  /** True once connected (TLS included) with nothing sent; false when that failed. Never rejects. */
  readonly connected: Promise<boolean>;
  isConnected(): boolean;
  /**
   * Sends and resolves to what came back, or to a fault. Never rejects; to be called once. `onLeft` is called when the
   * system has taken all that was sent.
   */
  send(path: string, body: string, timeoutMs: number, onLeft?: () => void): Promise<RawReply | FaultAnswer>;
  /** Gives it up, connection and all. */
  destroy(): void;
}

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

/** A verdict on 100 accounts takes a few KiB; this is room for a gateway's page and an end to everything else. */
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
        // They are for a cache, which is not used. got spreads them into the options of each request before all others,
        // whose hidden class would be a new one each time (decision 94).
        options.cacheOptions = {};
      },
    ],
  },
});

/** Starts to connect at once. `origin` is scheme, host and port only. */
export function openRequest(origin: string, agents: Agents, connectTimeoutMs: number): OpenRequest {
  let phase: Phase = 'connecting';
  let over: FaultAnswer | RawReply | undefined;
  let request: ClientRequest | undefined;
  let settle: ((result: RawReply | FaultAnswer) => void) | undefined;
  let tellConnected: (isConnected: boolean) => void = () => {};
  const connected = new Promise<boolean>((resolve) => {
    tellConnected = resolve;
  });
  let timer = setTimeout(
    () => end(fault('connect', false, `none after ${connectTimeoutMs} ms`)),
    connectTimeoutMs,
  );

  const stream = post(origin, { isStream: true, agent: { ...agents } });
  stream.on('error', (error) => end(faultOf(error, phase)));
  stream.on('close', () => end(faultOf(undefined, phase)));
  stream.on('request', (made: ClientRequest) => {
    request = made;
    if (made.socket) onSocket(made.socket);
    else made.once('socket', onSocket);
  });
  stream.on('response', (response: IncomingMessage) => {
    // A gateway may tell an idle connection 408 before anything was asked: that is no answer to us.
    if (phase !== 'sent') end(fault('reset', false, 'the server spoke first'));
    else collect(response);
  });

  function onSocket(socket: Socket): void {
    if (socket.connecting) {
      socket.once('connect', () => onTcp(socket));
    } else onTcp(socket);
  }

  function onTcp(socket: Socket): void {
    if (phase !== 'connecting') return;
    if (socket instanceof TLSSocket && secureConnecting(socket)) {
      phase = 'securing';
      socket.once('secureConnect', onReady);
    } else onReady();
  }

  function onReady(): void {
    if (over !== undefined) return;
    phase = 'ready';
    clearTimeout(timer);
    tellConnected(true);
  }

  function collect(response: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_REPLY_BYTES) end(fault('garbage', true, `more than ${MAX_REPLY_BYTES} bytes`));
      else chunks.push(chunk);
    });
    stream.on('end', () =>
      end({
        kind: 'reply',
        httpStatus: response.statusCode ?? 0,
        headers: response.headers,
        bodyText: Buffer.concat(chunks).toString('utf8'),
      }),
    );
  }

  function end(result: RawReply | FaultAnswer): void {
    if (over !== undefined) return;
    over = result;
    clearTimeout(timer);
    tellConnected(false);
    settle?.(result);
    // A complete reply has given its connection back already. What failed, or was answered before we had said
    // everything, must not linger.
    if (result.kind === 'fault' || request?.writableFinished !== true) stream.destroy();
  }

  return {
    connected,
    isConnected() {
      return phase === 'ready' && over === undefined && request?.socket?.writable === true;
    },
    send(path, body, timeoutMs, onLeft) {
      if (phase !== 'ready' || over !== undefined || request === undefined) {
        end(fault('connect', false, 'not there in time'));
        return Promise.resolve(over ?? fault('connect', false));
      }
      // The other end has hung up and got has not told us yet: nothing of ours would leave.
      if (request.destroyed || request.socket?.writable !== true) {
        const broken = fault('reset', false);
        end(broken);
        return Promise.resolve(broken);
      }
      phase = 'sent';
      const reply = new Promise<RawReply | FaultAnswer>((resolve) => {
        settle = resolve;
      });
      timer = setTimeout(() => end(fault('timeout', true, `${timeoutMs} ms`)), timeoutMs);
      if (onLeft !== undefined) request.once('finish', onLeft);
      request.path = path;
      request.setHeader('content-length', Buffer.byteLength(body));
      stream.end(body);
      return reply;
    },
    destroy() {
      end(fault('aborted', phase === 'sent'));
    },
  };
}

/** True until the handshake is done; Node has it, its types do not. */
function secureConnecting(socket: TLSSocket): boolean {
  return (socket as TLSSocket & { readonly secureConnecting?: boolean }).secureConnecting === true;
}
