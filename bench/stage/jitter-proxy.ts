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
  let lastDueMs = 0;
  from.on('data', (piece) => {
    const nowMs = performance.now();
    // In order: nothing overtakes what left before it.
    lastDueMs = Math.max(lastDueMs, nowMs + Math.random() * 2 * jitterMs);
    setTimeout(() => to.writable && to.write(piece), lastDueMs - nowMs);
  });
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}
