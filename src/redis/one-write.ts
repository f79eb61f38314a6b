import type { Writable } from 'node:stream';

/**
 * Whatever one turn of the event loop has to say goes out in one write: a busy worker has several calls at several
 * steps, and a write of its own for each command costs more than the command.
 */
export function oneWriteATurn(socket: Writable): void {
  const write = socket.write;
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    socket.uncork();
  };
  socket.write = ((...args: Parameters<Writable['write']>) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      setImmediate(uncork);
    }
    return write.apply(socket, args);
  }) as Writable['write'];
}
