import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface JitterProxy {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * A TCP proxy on loopback to `targetPort` that delivers each piece of data `jitterMs` ± `jitterMs` late, both ways
 * apart, in order: a network whose delay is not the same twice.
 */
export async function startJitterProxy(targetPort: number, jitterMs: number): Promise<JitterProxy> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
    carry(near, far, jitterMs);
    carry(far, near, jitterMs);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function carry(from: Socket, to: Socket, jitterMs: number): void {
  const pieces: { readonly piece: Buffer; readonly dueMs: number }[] = [];
  // One timer, so that nothing overtakes what came before it: timers of different lengths do.
  const forward = (): void => {
    for (let first = pieces[0]; first !== undefined; first = pieces[0]) {
      const restMs = first.dueMs - performance.now();
      if (restMs > 0) {
        setTimeout(forward, restMs);
        return;
      }
      if (to.writable) to.write(first.piece);
      pieces.shift();
    }
  };
  from.on('data', (piece: Buffer) => {
    const afterMs = pieces.at(-1)?.dueMs ?? 0;
    pieces.push({ piece, dueMs: Math.max(afterMs, performance.now() + Math.random() * 2 * jitterMs) });
    if (pieces.length === 1) forward();
  });
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}
