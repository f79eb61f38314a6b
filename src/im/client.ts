import { randomInt } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type Answer, type FaultName, fault, readAnswer } from './answers.ts';
import { COMMANDS, type CommandName } from './commands.ts';
import { type Agents, HostConnections, IDLE_MS, type OpenRequest } from './connections.ts';
import { createHostChoice, type HostSwitch } from './host-choice.ts';
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
  /** Most connections at a time. Default: no limit, since slots limit the calls. */
  readonly maxSockets?: number;
  /** Returns an unsigned 32-bit integer, as the API wants in each address. */
  readonly random32?: () => number;
  /** PEM of the authority that signed a gateway's own certificate. */
  readonly ca?: string;
  /** A clock in milliseconds that never goes back. Default: the process's own. */
  readonly nowMs?: () => number;
}

export interface ImClient {
  /** Takes a connection that exists, or starts to connect. */
  prepare(command: CommandName, body: string): PreparedCall;
  /** Makes a connection for a call that will come soon. If no call takes it, a later one does. */
  expectCall(): void;
  /** Where calls of a command go now, without the query, which holds the signature. */
  urlOf(command: CommandName): URL;
  /** Closes idle connections. Calls on the wire end by themselves; later calls fail unsent. */
  close(): void;
  /** Closes all connections. A call on the wire ends in a fault, and its outcome stays unknown. */
  abort(): void;
}

export interface PreparedCall extends Pick<OpenRequest, 'connected' | 'isConnected'> {
  /**
   * Sends headers and body in this tick and resolves to the answer. Never rejects. An unconnected call fails
   * unsent. `onLeft` is called when the operating system has taken all bytes.
   */
  send(onLeft?: () => void): Promise<Answer>;
  /** Gives the call up unsent. Its connection serves a later call. Does nothing after send(). */
  abandon(): void;
}

/** Most idle connections kept, more than one second of calls in the new form (200 calls/s) uses. */
const MAX_IDLE = 256;

/**
 * Speaks to the API over HTTP and judges nothing. No text that it returns holds a signature or an address.
 */
export function createImClient(options: ImClientOptions): ImClient {
  const { baseUrl, backupUrl, userSig, callTimeoutMs, nowMs = () => performance.now() } = options;
  const agents = createAgents(options);
  const choice = createHostChoice(baseUrl, backupUrl, options.onSwitch);
  const main = new HostConnections(baseUrl, agents, callTimeoutMs);
  const backup = backupUrl === undefined ? main : new HostConnections(backupUrl, agents, callTimeoutMs);
  const hosts = new Set([main, backup]);
  const currentHost = (): HostConnections => (choice.current(nowMs()) === backup.url ? backup : main);
  const queryOf = createQueries(options);
  let isClosed = false;

  async function call(
    open: OpenRequest,
    host: HostConnections,
    command: CommandName,
    body: string,
    onLeft: (() => void) | undefined,
  ): Promise<Answer> {
    let sig: string;
    try {
      sig = userSig();
    } catch {
      host.giveBack(open);
      return fault('aborted', false, 'no UserSig could be made');
    }
    const reply = await open.send(
      `${host.prefix}${pathOf(command)}?${queryOf(sig)}`,
      body,
      callTimeoutMs,
      onLeft,
    );
    host.release(open);
    if (reply.kind === 'fault') {
      if (UNREACHED.has(reply.fault) && !reply.sent) choice.missed(host.url, nowMs());
      return reply;
    }
    choice.reached(host.url);
    const secrets = secretsIn(sig, command, body);
    return readAnswer(reply.httpStatus, reply.headers, reply.bodyText, (text) => redact(text, secrets));
  }

  function close(): void {
    isClosed = true;
    for (const host of hosts) host.close();
    for (const agent of Object.values(agents)) closeIdle(agent);
  }

  return {
    expectCall() {
      if (!isClosed) currentHost().expect();
    },
    urlOf: (command) => new URL(`${currentHost().url.replace(/\/+$/, '')}${pathOf(command)}`),
    prepare(command, body) {
      if (isClosed) return closedCall;
      const host = currentHost();
      const open = host.take();
      let isUsed = false;
      return {
        connected: open.connected,
        isConnected() {
          return !isUsed && open.isConnected();
        },
        async send(onLeft) {
          if (isUsed) return fault('aborted', false, 'sent or abandoned before');
          isUsed = true;
          return call(open, host, command, body, onLeft);
        },
        abandon() {
          if (isUsed) return;
          isUsed = true;
          host.giveBack(open);
        },
      };
    },
    close,
    abort() {
      close();
      for (const host of hosts) host.abort();
    },
  };
}

/** The path of a command (REST API overview). */
function pathOf(command: CommandName): string {
  return `/v4/${COMMANDS[command].service}/${command}`;
}

/** Builds the query of each call (REST API overview). */
function createQueries(options: ImClientOptions): (userSig: string) => URLSearchParams {
  const { sdkAppId, adminId, random32 = () => randomInt(0x1_0000_0000) } = options;
  return (userSig) =>
    new URLSearchParams({
      sdkappid: String(sdkAppId),
      identifier: adminId,
      usersig: userSig,
      random: String(random32()),
      contenttype: 'json',
    });
}

/** Faults that say that the host cannot be reached. */
const UNREACHED: ReadonlySet<FaultName> = new Set(['connect', 'dns', 'tls']);

const closedCall: PreparedCall = {
  connected: Promise.resolve(false),
  isConnected: () => false,
  send: () => Promise.resolve(fault('aborted', false, 'the client is closed')),
  abandon() {},
};

function createAgents({ maxSockets, ca }: ImClientOptions): Agents {
  const common = {
    keepAlive: true,
    noDelay: true,
    scheduling: 'lifo' as const,
    maxSockets,
    maxFreeSockets: MAX_IDLE,
    timeout: IDLE_MS,
  };
  return { http: new HttpAgent(common), https: new HttpsAgent({ ...common, ca }) };
}

/** Closes idle sockets only. Agent.destroy() would also break the calls on the wire. */
function closeIdle(agent: HttpAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of [...(sockets ?? [])]) socket.destroy();
  }
}
