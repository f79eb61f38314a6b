import { randomInt } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type Answer, type FaultName, readAnswer } from './answers.ts';
import { COMMANDS, type CommandName } from './commands.ts';
import { fault } from './faults.ts';
import { createHostChoice, type HostSwitch } from './host-choice.ts';
import { type Agents, type OpenRequest, openRequest } from './open-request.ts';
import { redact, secretsIn } from './redact.ts';
import { createSpares, IDLE_MS, type Spares } from './spares.ts';

export interface ImClientOptions {
  /** Scheme, host, port, and a path before /v4 if a gateway wants one. */
  readonly baseUrl: string;
  /** Where calls go while `baseUrl` gives no connections (host-choice.ts); none by default. */
  readonly backupUrl?: string;
  /** Told once at each change between the two. */
  readonly onSwitch?: (change: HostSwitch) => void;
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
  /** Milliseconds that never go back; the process's own by default. */
  readonly nowMs?: () => number;
}

export interface ImClient {
  /** Starts to connect, or takes a connection that stands. */
  prepare(command: CommandName, body: string): PreparedCall;
  /** A call is about to come: has a connection ready for it. What nobody uses serves a later call. */
  expectCall(): void;
  /** Closes what is idle; calls on the wire end by themselves, later ones fail unsent. */
  close(): void;
  /** Closes all, calls on the wire as well: those end in a fault, and nobody hears what became of them. */
  abort(): void;
}

export interface PreparedCall {
  /** True once connected (TLS included) with nothing sent; false when that failed. Never rejects. */
  readonly connected: Promise<boolean>;
  isConnected(): boolean;
  /**
   * Headers and body leave in this tick; resolves to the answer. Never rejects. Not connected: fails unsent.
   * `onLeft` is called when the system has taken all of it.
   */
  send(onLeft?: () => void): Promise<Answer>;
  /** Gives it up unsent; its connection serves a later call. Does nothing after send(). */
  abandon(): void;
}

/** Idle connections kept: more than a second of calls in the API's new form (200 a second) can have in use. */
const MAX_IDLE = 256;

/** The API over HTTP: says what came back, judges nothing. No text it gives out holds a signature or an address. */
export function createImClient(options: ImClientOptions): ImClient {
  const { sdkAppId, adminId, userSig, callTimeoutMs, maxSockets, ca } = options;
  const random32 = options.random32 ?? (() => randomInt(0x1_0000_0000));
  const nowMs = options.nowMs ?? (() => performance.now());
  const choice = createHostChoice(options.baseUrl, options.backupUrl, options.onSwitch);
  const hosts = new Map(
    [options.baseUrl, options.backupUrl]
      .filter((url) => url !== undefined)
      .map((url) => [url, hostOf(url)] as const),
  );
  const agents = createAgents(maxSockets, ca);
  /** Not a Set: one that is much added to and deleted from keeps what its outgrown tables held (decision 94). */
  const inUse: OpenRequest[] = [];
  let isClosed = false;

  function noLongerUsed(open: OpenRequest): void {
    const at = inUse.indexOf(open);
    if (at >= 0) inUse.splice(at, 1);
  }

  function giveBack(open: OpenRequest, spares: Spares): void {
    noLongerUsed(open);
    if (isClosed) open.destroy();
    else spares.keep(open);
  }

  function pathOf(command: CommandName, sig: string, prefix: string): string {
    const query = new URLSearchParams({
      sdkappid: String(sdkAppId),
      identifier: adminId,
      usersig: sig,
      random: String(random32()),
      contenttype: 'json',
    });
    return `${prefix}/v4/${COMMANDS[command].service}/${command}?${query}`;
  }

  async function call(
    open: OpenRequest,
    host: Host,
    command: CommandName,
    body: string,
    onLeft: (() => void) | undefined,
  ): Promise<Answer> {
    let sig: string;
    try {
      sig = userSig();
    } catch {
      giveBack(open, host.spares);
      return fault('aborted', false, 'no UserSig could be made');
    }
    const reply = await open.send(pathOf(command, sig, host.prefix), body, callTimeoutMs, onLeft);
    noLongerUsed(open);
    if (reply.kind === 'fault') {
      if (UNREACHED.has(reply.fault) && !reply.sent) choice.missed(host.url, nowMs());
      return reply;
    }
    choice.reached(host.url, nowMs());
    const secrets = secretsIn(sig, command, body);
    return readAnswer(reply.httpStatus, reply.headers, reply.bodyText, (text) => redact(text, secrets));
  }

  function close(): void {
    isClosed = true;
    for (const host of hosts.values()) {
      host.spares.clear();
      takeExpected(host)?.destroy();
    }
    for (const agent of Object.values(agents)) closeIdle(agent);
  }

  const currentHost = (): Host => hosts.get(choice.current(nowMs())) ?? hostOf(options.baseUrl);

  function takeExpected(host: Host): OpenRequest | undefined {
    const { expected } = host;
    host.expected = undefined;
    return expected;
  }

  return {
    expectCall() {
      if (isClosed) return;
      const host = currentHost();
      if (host.expected !== undefined) return;
      const open = host.spares.take() ?? openRequest(host.origin, agents, callTimeoutMs);
      inUse.push(open);
      host.expected = open;
      void open.connected.then(() => {
        if (host.expected !== open) return;
        host.expected = undefined;
        giveBack(open, host.spares);
      });
    },
    prepare(command, body) {
      if (isClosed) return closedCall;
      const host = currentHost();
      const open =
        host.spares.take() ?? takeExpected(host) ?? openRequest(host.origin, agents, callTimeoutMs);
      inUse.push(open);
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
          giveBack(open, host.spares);
        },
      };
    },
    close,
    abort() {
      close();
      for (const open of [...inUse]) open.destroy();
    },
  };
}

interface Host {
  readonly url: string;
  /** Scheme, host and port. */
  readonly origin: string;
  /** The path before /v4. */
  readonly prefix: string;
  /** Connections serve the host that they lead to. */
  readonly spares: Spares;
  /** On its way to stand, for a call that is about to come. */
  expected: OpenRequest | undefined;
}

function hostOf(url: string): Host {
  const { origin, pathname } = new URL(url);
  return { url, origin, prefix: pathname.replace(/\/+$/, ''), spares: createSpares(), expected: undefined };
}

/** Ends of a call that say that its host cannot be reached. */
const UNREACHED: ReadonlySet<FaultName> = new Set(['connect', 'dns', 'tls']);

const closedCall: PreparedCall = {
  connected: Promise.resolve(false),
  isConnected: () => false,
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
