import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that takes its time: each chunk of either direction arrives late, and in order. */
export interface FarProxy {
  readonly port: number;
  /** One way, in ms, drawn anew for each chunk. */
  delay(least: number, most: number): void;
  /** Nothing moves for so long; what was sent arrives then. */
  stall(ms: number): void;
  close(): Promise<void>;
}

/** `random`: 0 ≤ r < 1. */
export async function startFarProxy(targetPort: number, random: () => number): Promise<FarProxy> {
  let least = 0;
  let most = 0;
  let stalledUntilMs = 0;
  const sockets = new Set<Socket>();

  const carry = (from: Socket, to: Socket): void => {
    const onItsWay: { readonly chunk: Buffer; readonly arrivesMs: number }[] = [];
    let timer: NodeJS.Timeout | undefined;
    // One timer for all, since two of them may fire in either order, and TCP never reorders.
    const deliver = (): void => {
      timer = undefined;
      for (let first = onItsWay[0]; first !== undefined; first = onItsWay[0]) {
        const leftMs = first.arrivesMs - performance.now();
        if (leftMs > 0) {
          timer = setTimeout(deliver, Math.ceil(leftMs));
          return;
        }
        onItsWay.shift();
        if (to.writable) to.write(first.chunk);
      }
    };
    from.on('data', (chunk: Buffer) => {
      const earliestMs = Math.max(performance.now(), stalledUntilMs) + least + random() * (most - least);
      onItsWay.push({ chunk, arrivesMs: Math.max(earliestMs, onItsWay.at(-1)?.arrivesMs ?? 0) });
      if (timer === undefined) deliver();
    });
    from.on('close', () => to.destroy());
    from.on('error', () => to.destroy());
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    delay(from, to) {
      least = from;
      most = to;
    },
    stall(ms) {
      stalledUntilMs = performance.now() + ms;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
