import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/** A TCP server that lets a test see and say every byte. */
export interface RawServer {
  readonly baseUrl: string;
  readonly port: number;
  /** Every connection so far, in order. */
  readonly sockets: readonly Socket[];
  /** Everything that came in on a connection so far. */
  received(index: number): string;
  close(): Promise<void>;
}

export interface Conversation {
  readonly socket: Socket;
  /** Requests on this connection before this one. */
  readonly earlier: number;
  readonly text: string;
}

/** `onRequest` is called when headers and body of a request (by its content-length) are there. */
export async function startRawServer(
  onRequest: (conversation: Conversation) => void,
  onConnection: (socket: Socket) => void = () => {},
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const texts: string[] = [];
  const server = createServer((socket) => {
    const index = sockets.push(socket) - 1;
    let pending = '';
    let earlier = 0;
    texts[index] = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      texts[index] += text;
      pending += text;
      for (let size = requestSize(pending); size > 0 && pending.length >= size; size = requestSize(pending)) {
        onRequest({ socket, earlier, text: pending.slice(0, size) });
        pending = pending.slice(size);
        earlier += 1;
      }
    });
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    baseUrl: `http://127.0.0.1:${port}`,
    sockets,
    received: (index) => texts[index] ?? '',
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Bytes of the first request in the text; 0 while its headers are incomplete. */
function requestSize(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  return end + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
}

export const SUCCESS = '{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}';

/** An HTTP response as text. */
export function response(status: string, body: string, headers: readonly string[] = []): string {
  const lines = [`HTTP/1.1 ${status}`, `content-length: ${Buffer.byteLength(body)}`, ...headers];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
