import { randomInt } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type Answer, readAnswer } from './answers.ts';
import { COMMANDS, type CommandName } from './commands.ts';
import { fault } from './faults.ts';
import { type Agents, type OpenRequest, openRequest } from './open-request.ts';
import { redact, secretsIn } from './redact.ts';
import { createSpares, IDLE_MS } from './spares.ts';

export interface ImClientOptions {
  /** Scheme, host, port, and a path before /v4 if a gateway wants one. */
  readonly baseUrl: string;
  readonly sdkAppId: number;
  readonly adminId: string;
  /** Asked at each send; when it throws, the call is not sent. */
  readonly userSig: () => string;
  /** From send() to the end of the answer; longer than the API's own 3 s. Connecting may take as long again. */
  readonly callTimeoutMs: number;
  /** Connections at a time; no bound by default, since slots bound the calls. */
  readonly maxSockets?: number;
  /** An unsigned 32-bit integer. */
  readonly random32?: () => number;
  /** PEM of an authority to trust besides Node's own, for a gateway with a certificate of its own. */
  readonly ca?: string;
}

export interface ImClient {
  /** Starts to connect, or takes a connection that stands. */
  prepare(command: CommandName, body: string): PreparedCall;
  /** Closes what is idle; calls on the wire end by themselves, later ones fail unsent. */
  close(): void;
}

export interface PreparedCall {
  /** True once connected (TLS included) with nothing sent; false when that failed. Never rejects. */
  readonly connected: Promise<boolean>;
  readonly isConnected: boolean;
  /** Headers and body leave in this tick; resolves to the answer. Never rejects. Not connected: fails unsent. */
  send(): Promise<Answer>;
  /** Gives it up unsent; its connection serves a later call. Does nothing after send(). */
  abandon(): void;
}

/** Idle connections kept: more than a second of calls in the API's new form (200 a second) can have in use. */
const MAX_IDLE = 256;

/** The API over HTTP: says what came back, judges nothing. No text it gives out holds a signature or an address. */
export function createImClient(options: ImClientOptions): ImClient {
  const { sdkAppId, adminId, userSig, callTimeoutMs, maxSockets, ca } = options;
  const random32 = options.random32 ?? (() => randomInt(0x1_0000_0000));
  const base = new URL(options.baseUrl);
  const prefix = base.pathname.replace(/\/+$/, '');
  const agents = createAgents(maxSockets, ca);
  const spares = createSpares();
  let isClosed = false;

  function giveBack(open: OpenRequest): void {
    if (isClosed) open.destroy();
    else spares.keep(open);
  }

  function pathOf(command: CommandName, sig: string): string {
    const query = new URLSearchParams({
      sdkappid: String(sdkAppId),
      identifier: adminId,
      usersig: sig,
      random: String(random32()),
      contenttype: 'json',
    });
    return `${prefix}/v4/${COMMANDS[command].service}/${command}?${query}`;
  }

  async function call(open: OpenRequest, command: CommandName, body: string): Promise<Answer> {
    let sig: string;
    try {
      sig = userSig();
    } catch {
      giveBack(open);
      return fault('aborted', false, 'no UserSig could be made');
    }
    const reply = await open.send(pathOf(command, sig), body, callTimeoutMs);
    if (reply.kind === 'fault') return reply;
    const secrets = secretsIn(sig, command, body);
    return readAnswer(reply.httpStatus, reply.headers, reply.bodyText, (text) => redact(text, secrets));
  }

  return {
    prepare(command, body) {
      if (isClosed) return closedCall;
      const open = spares.take() ?? openRequest(base.origin, agents, callTimeoutMs);
      let isUsed = false;
      return {
        connected: open.connected,
        get isConnected() {
          return !isUsed && open.isConnected;
        },
        async send() {
          if (isUsed) return fault('aborted', false, 'sent or abandoned before');
          isUsed = true;
          return call(open, command, body);
        },
        abandon() {
          if (isUsed) return;
          isUsed = true;
          giveBack(open);
        },
      };
    },
    close() {
      isClosed = true;
      spares.clear();
      for (const agent of Object.values(agents)) closeIdle(agent);
    },
  };
}

const closedCall: PreparedCall = {
  connected: Promise.resolve(false),
  isConnected: false,
  send: () => Promise.resolve(fault('aborted', false, 'the client is closed')),
  abandon() {},
};

function createAgents(maxSockets: number | undefined, ca: string | undefined): Agents {
  const common = {
    keepAlive: true,
    noDelay: true,
    scheduling: 'lifo' as const,
    maxFreeSockets: MAX_IDLE,
    timeout: IDLE_MS,
    ...(maxSockets !== undefined && { maxSockets }),
  };
  return {
    http: new HttpAgent(common),
    https: new HttpsAgent({ ...common, ...(ca !== undefined && { ca }) }),
  };
}

/** Agent.destroy() would break the calls on the wire as well. */
function closeIdle(agent: HttpAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of [...(sockets ?? [])]) socket.destroy();
  }
}
