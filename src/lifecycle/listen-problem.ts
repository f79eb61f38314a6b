/** A server of this process cannot listen. The message says what to change. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** The sentence for a ListenError: why the server cannot listen, and which setting to change. Pure. */
export function listenProblem(
  { code, message }: NodeJS.ErrnoException,
  host: string,
  port: number,
  words: {
    /** The name of the server. */
    readonly what: string;
    /** What to do when the port is in use. */
    readonly inUse: string;
    readonly hostVariable: string;
    readonly portVariable: string;
  },
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
