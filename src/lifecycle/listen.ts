import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of this process cannot listen. The message says what to change. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** What an operator reads when a server cannot listen. */
interface ServerWords {
  /** The name of the server. */
  readonly what: string;
  /** What to do when the port is in use. */
  readonly inUse: string;
  readonly hostVariable: string;
  readonly portVariable: string;
}

/**
 * Resolves to the URL of `server` when `start` has made it listen, with the port that is in use. Rejects with
 * ListenError when `start` rejects.
 */
export async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  words: ServerWords,
  start: () => Promise<unknown>,
): Promise<string> {
  await start().catch((error: NodeJS.ErrnoException) => {
    throw new ListenError(listenProblem(error, host, port, words));
  });
  const bound = server.address() as AddressInfo;
  return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

/** Why the server cannot listen, and which setting to change. */
function listenProblem(
  { code, message }: NodeJS.ErrnoException,
  host: string,
  port: number,
  words: ServerWords,
): string {
  const what = `The ${words.what} cannot listen on ${host} port ${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${what}: the port is in use, perhaps by another worker on this machine. ${words.inUse}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${what}: this machine has no such address. Set ${words.hostVariable} to one it has, such as 127.0.0.1.`;
    case 'EACCES':
      return `${what}: this user may not. Set ${words.portVariable} to a port above 1023.`;
    default:
      return `${what}: ${message}. Set ${words.hostVariable} and ${words.portVariable} to where it may listen.`;
  }
}
