import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A message that a receiver of notices got. */
export interface Received {
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The parsed body. */
  // biome-ignore lint/suspicious/noExplicitAny: bodies have the shape of their receiver
  readonly json: any;
  readonly atMs: number;
}

type Answer = (response: ServerResponse) => void;

/** A receiver of notices over real HTTP, on a free port of the loopback. */
export interface Webhook {
  /** Such as `http://127.0.0.1:1234`. */
  readonly url: string;
  readonly received: Received[];
  /** What it answers from now on. */
  answer: Answer;
  close(): Promise<void>;
}

/** Answers HTTP 200 with this body. */
export function says(body: string | object): Answer {
  return (response) => response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** `port`: 0 for any free one. */
export async function startWebhook(answer: Answer, port = 0): Promise<Webhook> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const { url = '', headers } = request;
      received.push({ url, headers, body, json: JSON.parse(body || '{}'), atMs: performance.now() });
      webhook.answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const webhook: Webhook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return webhook;
}
