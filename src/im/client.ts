import { randomInt } from 'node:crypto';
import type { ChosenProxy } from '../proxy/choose-proxy.ts';
import { openRoute, type Route } from '../proxy/route.ts';
import { type Answer, type FaultName, fault, readAnswer } from './answers.ts';
import { COMMANDS, type CommandName } from './commands.ts';
import { createHostChoice, type HostSwitch } from './host-choice.ts';
import { OpenRequest } from './open-request.ts';
import { redact, secretsIn } from './redact.ts';

export interface ImClientOptions {
  /** Scheme, host, port, and the path before /v4 if a gateway needs one. */
  readonly baseUrl: string;
  /** Calls go here while no connection to `baseUrl` can be made (host-choice.ts). Default: none. */
  readonly backupUrl?: string;
  /** Called at each change between the two hosts. */
  readonly onSwitch?: (change: HostSwitch) => void;
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Called at each send. If it throws, the call is not sent. */
  readonly userSig: () => string;
  /** From send() to the end of the answer, longer than the API's own 3 s. Connecting may take as long. */
  readonly callTimeoutMs: number;
  /** PEM of authorities that are trusted besides the public ones: a gateway's own, a network's. */
  readonly ca?: string;
  /** The proxy in front of a host. Default: none. */
  readonly proxyOf?: (host: URL) => ChosenProxy | undefined;
  /** A clock in milliseconds that never goes back. Default: the process's own. */
  readonly nowMs?: () => number;
}

export interface ImClient {
  /** Takes an idle connection, or starts to connect. */
  prepare(command: CommandName, body: string): PreparedCall;
  /** Where calls of a command go now, without the query, which holds the signature. */
  urlOf(command: CommandName): URL;
  /** Closes all connections. A call on the wire ends in a fault, and its outcome stays unknown. */
  close(): void;
}

export interface PreparedCall extends Pick<OpenRequest, 'connected' | 'isConnected' | 'abandon'> {
  /**
   * Sends headers and body in this tick and resolves to the answer. Never rejects. An unconnected call fails
   * unsent. `onLeft` is called when the operating system has taken all bytes.
   */
  send(onLeft?: () => void): Promise<Answer>;
}

/** Most idle connections kept, more than one second of calls in the new form (200 calls/s) uses. */
const MAX_IDLE = 256;
/** Common gateways drop an idle connection after 60 s. We close it before. */
const IDLE_MS = 55_000;

/**
 * Speaks to the API over HTTP and judges nothing. No text that it returns holds a signature or an address.
 */
export function createImClient(options: ImClientOptions): ImClient {
  const { baseUrl, backupUrl, userSig, callTimeoutMs, nowMs = () => performance.now() } = options;
  const routes = createRoutes(options);
  const choice = createHostChoice(baseUrl, backupUrl, options.onSwitch);

  async function call(
    open: OpenRequest,
    host: string,
    command: CommandName,
    body: string,
    onLeft: (() => void) | undefined,
  ): Promise<Answer> {
    let sig: string;
    try {
      sig = userSig();
    } catch {
      open.abandon();
      return fault('aborted', false, 'no UserSig could be made');
    }
    const path = `${urlOf(host, command).pathname}?${queryOf(options, sig)}`;
    const reply = await open.send(path, body, callTimeoutMs, onLeft);
    if (reply.kind === 'fault') {
      if (UNREACHED.has(reply.fault) && !reply.sent) choice.missed(host, nowMs());
      return reply;
    }
    choice.reached(host);
    const secrets = secretsIn(sig, command, body);
    return readAnswer(reply.httpStatus, reply.headers, reply.bodyText, (text) => redact(text, secrets));
  }

  return {
    urlOf: (command) => urlOf(choice.current(nowMs()), command),
    prepare(command, body) {
      const host = choice.current(nowMs());
      const open = new OpenRequest(new URL(host).origin, routes.to(host), callTimeoutMs);
      return {
        connected: open.connected,
        isConnected: () => open.isConnected(),
        send: (onLeft) => call(open, host, command, body, onLeft),
        abandon: () => open.abandon(),
      };
    },
    close() {
      routes.close();
    },
  };
}

/** The address of a command (REST API overview). A gateway may want a path before /v4. */
function urlOf(host: string, command: CommandName): URL {
  return new URL(`${host.replace(/\/+$/, '')}/v4/${COMMANDS[command].service}/${command}`);
}

/** The query of each call (REST API overview). */
function queryOf({ sdkAppId, adminId }: ImClientOptions, userSig: string): URLSearchParams {
  return new URLSearchParams({
    sdkappid: String(sdkAppId),
    identifier: adminId,
    usersig: userSig,
    random: String(randomInt(0x1_0000_0000)),
    contenttype: 'json',
  });
}

/** Faults that say that the host cannot be reached. */
const UNREACHED: ReadonlySet<FaultName> = new Set(['connect', 'dns', 'tls']);

/** A way through a proxy ends a little before the call does, and says why. */
const TUNNEL_SHARE = 0.9;

/** A route for each host: NO_PROXY may name one of them. */
function createRoutes({ ca = '', proxyOf = () => undefined, callTimeoutMs }: ImClientOptions) {
  const agent = {
    keepAlive: true,
    noDelay: true,
    scheduling: 'lifo' as const,
    maxFreeSockets: MAX_IDLE,
    timeout: IDLE_MS,
  };
  const byHost = new Map<string, Route>();
  return {
    to(host: string): Route {
      const known = byHost.get(host);
      if (known !== undefined) return known;
      const proxy = proxyOf(new URL(host));
      const route = openRoute({ proxy, ca, connectTimeoutMs: TUNNEL_SHARE * callTimeoutMs, agent });
      byHost.set(host, route);
      return route;
    },
    close(): void {
      for (const route of byHost.values()) route.close();
    },
  };
}
