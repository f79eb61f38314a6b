import { type AgentOptions, type ClientRequestArgs, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { ConfigError } from '../config/config.ts';
import type { ChosenProxy } from './choose-proxy.ts';
import { authorizationOf, openTunnel, reachProxy, TunnelError } from './tunnel.ts';

/** How calls leave: the agents that connect, and what a call by plain HTTP needs to name. */
export interface Route {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  /**
   * Not undefined for http:// through an HTTP proxy. Such a call names the whole address to the proxy, which
   * makes it: most proxies open tunnels to port 443 alone. `login`: its Proxy-Authorization.
   */
  forwarded(origin: string): { readonly login: string | undefined } | undefined;
  /** Ends what is being connected, and closes idle connections. */
  close(): void;
}

interface RouteOptions {
  readonly proxy: ChosenProxy | undefined;
  /** PEM of authorities that are trusted besides the public ones; '' for none. */
  readonly ca: string;
  /** From the first packet to the proxy until the way is open, TLS included. */
  readonly connectTimeoutMs: number;
  readonly agent: AgentOptions;
}

/** Opens a route. Nothing connects before the first call. */
export function openRoute({ proxy, ca, connectTimeoutMs, agent }: RouteOptions): Route {
  // Made once: to read the authorities for each connection would take milliseconds.
  const secureContext = ca === '' ? undefined : createSecureContext({ ca: [...rootCertificates, ca] });
  const options = { ...agent, ...(secureContext && { secureContext }) };
  const way = proxy && new WayThrough(proxy, secureContext, connectTimeoutMs);
  const http = way === undefined ? new HttpAgent(options) : new ProxiedHttpAgent(options, way);
  const https = way === undefined ? new HttpsAgent(options) : new TunnelledHttpsAgent(options, way);
  return {
    http,
    https,
    forwarded: (origin) => (origin.startsWith('http:') ? way?.forwarding() : undefined),
    close() {
      way?.close();
      http.destroy();
      https.destroy();
    },
  };
}

/** Connections through a proxy. Its address is read again for each, since a password may change. */
class WayThrough {
  readonly #proxy: ChosenProxy;
  readonly #secureContext: SecureContext | undefined;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  #address: URL | undefined;

  constructor(proxy: ChosenProxy, secureContext: SecureContext | undefined, timeoutMs: number) {
    this.#proxy = proxy;
    this.#secureContext = secureContext;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * A connection on which a request can be written. `secure` puts TLS over it; without it the call is plain
   * HTTP. Rejects with a TunnelError.
   */
  async connect(to: RequestOptions, secure?: (socket: Socket) => Socket): Promise<Socket> {
    const address = this.#readAddress();
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#timeoutMs)]);
    const socket = await reachProxy(address, this.#secureContext, signal);
    const isTunnel = secure !== undefined || !isHttp(address);
    if (isTunnel) await openTunnel(address, socket, { host: to.host ?? '', port: Number(to.port) }, signal);
    const top = secure === undefined ? socket : await secured(secure(socket), socket);
    signal.throwIfAborted();
    return top;
  }

  forwarding(): ReturnType<Route['forwarded']> {
    const address = this.#address;
    return address && isHttp(address) ? { login: authorizationOf(address) } : undefined;
  }

  close(): void {
    this.#closing.abort();
  }

  #readAddress(): URL {
    try {
      this.#address = this.#proxy.read();
      return this.#address;
    } catch (error) {
      if (error instanceof ConfigError) throw new TunnelError('proxy', error.message);
      throw error;
    }
  }
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}

/** Resolves when TLS stands. `below` is the tunnel: it ends when the time is over. */
function secured(socket: Socket, below: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(new TunnelError('tls', why));
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? '');
    const onClose = (): void => fail('ECONNRESET');
    socket.once('error', onError);
    below.once('close', onClose);
    socket.once('secureConnect', () => {
      socket.off('error', onError);
      below.off('close', onClose);
      resolve(socket);
    });
  });
}

type OnSocket = (error: Error | null, socket: Duplex) => void;

/** An agent is told of a connection later; what it is told in place of one is not looked at beside an error. */
function tell(connecting: Promise<Socket>, onSocket: OnSocket | undefined): undefined {
  connecting.then(
    (socket) => onSocket?.(null, socket),
    (error: Error) => (onSocket as (error: Error) => void)(error),
  );
}

class ProxiedHttpAgent extends HttpAgent {
  readonly #way: WayThrough;

  constructor(options: AgentOptions, way: WayThrough) {
    super(options);
    this.#way = way;
  }

  override createConnection(options: ClientRequestArgs, onSocket?: OnSocket): undefined {
    return tell(this.#way.connect(options as RequestOptions), onSocket);
  }
}

class TunnelledHttpsAgent extends HttpsAgent {
  readonly #way: WayThrough;

  constructor(options: AgentOptions, way: WayThrough) {
    super(options);
    this.#way = way;
  }

  override createConnection(options: RequestOptions, onSocket?: OnSocket): undefined {
    // TLS as the agent makes it, with its cache of sessions.
    const secure = (socket: Socket): Socket =>
      super.createConnection({ ...options, socket } as object) as Socket;
    return tell(this.#way.connect(options, secure), onSocket);
  }
}
