import { type IncomingMessage, request } from 'node:http';
import { isIP, connect as netConnect, type Socket } from 'node:net';
import { type SecureContext, connect as tlsConnect } from 'node:tls';

/**
 * A way through a proxy could not be opened, so nothing was sent.
 * - `proxy`: it is the proxy: it is away, refuses, or wants another login.
 * - `connect`: the proxy let us in, and cannot reach the host.
 * - `tls`: the way stands, and the host's certificate is not accepted.
 * The message names the proxy without user and password.
 */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly fault: 'proxy' | 'connect' | 'tls';

  constructor(fault: TunnelError['fault'], message: string) {
    super(message);
    this.fault = fault;
  }
}

interface Target {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const SOCKS_PORT = 1080;

/** How a sentence names a proxy. */
function nameOf(proxy: URL): string {
  return `the proxy ${proxy.hostname}:${portOf(proxy)}`;
}

/** Connects to the proxy itself. When `signal` aborts, the connection is destroyed. Rejects with a TunnelError. */
export function reachProxy(
  proxy: URL,
  secureContext: SecureContext | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const host = proxy.hostname.replace(/^\[(.*)\]$/, '$1');
  const to = { host, port: portOf(proxy), noDelay: true };
  const isSecure = proxy.protocol === 'https:';
  const socket = isSecure
    ? tlsConnect({ ...to, servername: isIP(host) === 0 ? host : '', secureContext })
    : netConnect(to);
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(new TunnelError('proxy', `${nameOf(proxy)}: ${why}`));
    };
    const onAbort = (): void => fail('no answer');
    signal.addEventListener('abort', onAbort);
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    // The listener stays: a connection that breaks is reported by its user then.
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'the connection broke'));
    socket.once(isSecure ? 'secureConnect' : 'connect', () => resolve(socket));
  });
}

/** Asks the proxy at the other end of `socket` for a connection to the target. Rejects with a TunnelError. */
export async function openTunnel(
  proxy: URL,
  socket: Socket,
  target: Target,
  signal: AbortSignal,
): Promise<void> {
  const broken = new Promise<never>((_, reject) => {
    socket.once('close', () => {
      const why = signal.aborted ? 'no answer' : 'the connection broke';
      reject(new TunnelError('proxy', `${nameOf(proxy)}: ${why}`));
    });
  });
  const ask = proxy.protocol.startsWith('socks') ? askSocks : askConnect;
  try {
    await Promise.race([ask(proxy, socket, target), broken]);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** The value of Proxy-Authorization; undefined if the address of the proxy has no user. */
export function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(login).toString('base64')}`;
}

/** HTTP's CONNECT (RFC 9110, 9.3.6). */
function askConnect(proxy: URL, socket: Socket, { host, port }: Target): Promise<void> {
  const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const login = authorizationOf(proxy);
  const headers = { host: address, ...(login !== undefined && { 'proxy-authorization': login }) };
  return new Promise((resolve, reject) => {
    request({ method: 'CONNECT', path: address, headers, createConnection: () => socket })
      .once('connect', (response) => {
        const refusal = refusalOf(proxy, response, address);
        if (refusal === undefined) resolve();
        else reject(refusal);
      })
      .once('error', (error: NodeJS.ErrnoException) =>
        reject(new TunnelError('proxy', `${nameOf(proxy)}: ${error.code ?? 'what it says is not HTTP'}`)),
      )
      .end();
  });
}

function refusalOf(
  proxy: URL,
  { statusCode = 0, headers }: IncomingMessage,
  address: string,
): TunnelError | undefined {
  if (statusCode >= 200 && statusCode < 300) return undefined;
  const status = `HTTP ${statusCode}`;
  if (statusCode === 407) return new TunnelError('proxy', loginWords(proxy, headers['proxy-authenticate']));
  // Proxies say so of a host that they cannot resolve or connect to.
  if (statusCode >= 502 && statusCode <= 504)
    return new TunnelError('connect', `${nameOf(proxy)} cannot reach ${address}: ${status}`);
  return new TunnelError('proxy', `${nameOf(proxy)} refuses a connection to ${address}: ${status}`);
}

/** What is wrong with the login, by what the proxy offers in Proxy-Authenticate. */
function loginWords(proxy: URL, offers: string | readonly string[] | undefined): string {
  const parts = String(offers ?? '').split(',');
  const schemes = parts.flatMap((offer) => /^\s*([A-Za-z-]+)(?:\s|$)/.exec(offer)?.[1] ?? []);
  const isBasic = schemes.length === 0 || schemes.some((scheme) => scheme.toLowerCase() === 'basic');
  const login = authorizationOf(proxy) === undefined ? 'a user and a password' : 'another user or password';
  const wants = isBasic ? login : `a login by ${schemes.join(' or ')}, and only Basic is spoken here`;
  return `${nameOf(proxy)} wants ${wants}: HTTP 407`;
}

/** SOCKS 5 (RFC 1928). The proxy resolves the name. The library is loaded by those who need it. */
async function askSocks(proxy: URL, socket: Socket, target: Target): Promise<void> {
  const { SocksClient } = await import('socks');
  const { hostname: host, username, password } = proxy;
  try {
    await SocksClient.createConnection({
      command: 'connect',
      destination: target,
      existing_socket: socket,
      proxy: {
        ...{ host, port: portOf(proxy), type: 5 },
        ...(username !== '' && {
          userId: decodeURIComponent(username),
          password: decodeURIComponent(password),
        }),
      },
    });
  } catch (error) {
    throw socksRefusal(proxy, (error as Error).message, `${target.host}:${target.port}`);
  }
}

function socksRefusal(proxy: URL, message: string, address: string): TunnelError {
  if (/authentication/i.test(message))
    return new TunnelError('proxy', `${nameOf(proxy)} wants another user or password`);
  const answer = /rejected connection - (\w+)/.exec(message)?.[1];
  if (answer === undefined) return new TunnelError('proxy', `${nameOf(proxy)}: what it says is not SOCKS 5`);
  return answer === 'NotAllowed'
    ? new TunnelError('proxy', `${nameOf(proxy)} refuses a connection to ${address}: ${answer}`)
    : new TunnelError('connect', `${nameOf(proxy)} cannot reach ${address}: ${answer}`);
}

function portOf({ protocol, port }: URL): number {
  return Number(port) || (DEFAULT_PORTS[protocol] ?? SOCKS_PORT);
}
