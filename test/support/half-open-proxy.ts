import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server on which packets can vanish while every socket stays open: no RST, no FIN, no data. */
export interface HalfOpenProxy {
  readonly port: number;
  /** Nothing moves any more on the connections that stand, for ever, and on those that come until `pass`. */
  vanish(): void;
  /** Connections that come from now on are carried again. */
  pass(): void;
  /** Connections that were made so far. */
  readonly connections: number;
  close(): Promise<void>;
}

export async function startHalfOpenProxy(targetPort: number): Promise<HalfOpenProxy> {
  const sockets = new Set<Socket>();
  const dead = new Set<Socket>();
  let swallows = false;
  let connections = 0;
  const carry = (from: Socket, to: Socket): void => {
    from.on('data', (chunk: Buffer) => {
      if (!dead.has(from) && to.writable) to.write(chunk);
    });
    // Nobody hears of the end of what is dead either.
    from.on('close', () => !dead.has(from) && to.destroy());
    from.on('error', () => undefined);
  };
  const server = createServer({ noDelay: true }, (near) => {
    connections++;
    const far = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      if (swallows) dead.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    vanish() {
      swallows = true;
      for (const socket of sockets) dead.add(socket);
    },
    pass() {
      swallows = false;
    },
    get connections() {
      return connections;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
