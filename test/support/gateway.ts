import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What stands between a company and the API: a gateway, a proxy, a firewall that reads along. It forwards every call to
 * the simulator, but for those that its rule answers itself. Over real HTTP, as the worker meets it.
 */
export interface Gateway {
  readonly url: string;
  /** Changes what it does from now on; undefined: it lets everything pass. */
  setRule(rule: GatewayRule | undefined): void;
  /** Every call, in the order of arrival. */
  calls(): readonly GatewayCall[];
  close(): Promise<void>;
}

export interface GatewayCall {
  readonly command: string;
  /** The request's body as text. */
  readonly body: string;
  readonly userIds: readonly string[];
  /** On `performance.now()`. */
  readonly atMs: number;
  /** Answered by the rule, in the API's place. */
  readonly isRefused: boolean;
}

/** What the gateway answers in the API's place; undefined lets the call pass. */
export type GatewayRule = (call: Omit<GatewayCall, 'isRefused'>) => GatewayAnswer | undefined;

export type GatewayAnswer =
  /** No answer, ever. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** An answer as the API gives it: HTTP 200 and a code. */
export function apiError(errorCode: number, errorInfo = `code ${errorCode}`): GatewayAnswer {
  const body = JSON.stringify({ ActionStatus: 'FAIL', ErrorCode: errorCode, ErrorInfo: errorInfo });
  return { kind: 'answer', status: 200, body };
}

/** A page as gateways give it. */
export function page(status: number, headers: Readonly<Record<string, string>> = {}): GatewayAnswer {
  const body = `<html><head><title>${status}</title></head><body><h1>${status}</h1><p>Request blocked.</p></body></html>`;
  return { kind: 'answer', status, body, headers: { 'content-type': 'text/html', ...headers } };
}

export async function startGateway(apiUrl: string): Promise<Gateway> {
  const calls: GatewayCall[] = [];
  let rule: GatewayRule | undefined;
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const command = new URL(incoming.url ?? '', apiUrl).pathname.split('/').at(-1) ?? '';
      const call = { command, body, userIds: userIdsIn(body), atMs: performance.now() };
      const answer = rule?.(call);
      calls.push({ ...call, isRefused: answer !== undefined });
      if (answer === undefined) forward(apiUrl, incoming, body, outgoing);
      else refuse(answer, outgoing);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setRule: (next) => {
      rule = next;
    },
    calls: () => calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function refuse(answer: GatewayAnswer, outgoing: ServerResponse): void {
  switch (answer.kind) {
    case 'silence':
      return;
    case 'reset':
      outgoing.socket?.resetAndDestroy();
      return;
    case 'answer':
      outgoing.writeHead(answer.status, answer.headers);
      outgoing.end(answer.body);
  }
}

function forward(apiUrl: string, incoming: IncomingMessage, body: string, outgoing: ServerResponse): void {
  const { host: _host, ...headers } = incoming.headers;
  const call = request(new URL(incoming.url ?? '', apiUrl), { method: 'POST', headers }, (reply) => {
    outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(outgoing);
  });
  call.on('error', () => outgoing.destroy());
  call.end(body);
}

function userIdsIn(body: string): string[] {
  const json = JSON.parse(body) as Record<string, unknown>;
  const items = [json.AccountList, json.CheckItem].find(Array.isArray) ?? [json];
  return (items as Record<string, unknown>[])
    .map(({ UserID, Identifier }) => UserID ?? Identifier)
    .concat(Array.isArray(json.Accounts) ? json.Accounts : [])
    .filter((id): id is string => typeof id === 'string');
}
