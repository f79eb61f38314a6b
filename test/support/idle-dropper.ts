import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server on which a middlebox forgets connections that nobody uses. */
export interface IdleDropper {
  readonly port: number;
  /**
   * Forgets the connections on which nobody waits for an answer and nothing has moved for `idleMs`; tells how many.
   * `silently`: packets vanish, and no socket closes. `reset`: both ends hear of it.
   */
  forget(idleMs: number, how: 'silently' | 'reset'): number;
  close(): Promise<void>;
}

interface Way {
  readonly near: Socket;
  readonly far: Socket;
  movedAtMs: number;
  isWaited: boolean;
  isDead: boolean;
}

export async function startIdleDropper(targetPort: number): Promise<IdleDropper> {
  const ways = new Set<Way>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    const way = { near, far, movedAtMs: performance.now(), isWaited: false, isDead: false };
    ways.add(way);
    const carry = (from: Socket, to: Socket): void => {
      from.on('data', (chunk: Buffer) => {
        if (way.isDead) return;
        way.movedAtMs = performance.now();
        way.isWaited = from === near;
        if (to.writable) to.write(chunk);
      });
      from.on('error', () => undefined);
      // Nobody hears of the end of what is dead either.
      from.once('close', () => {
        ways.delete(way);
        if (!way.isDead) to.destroy();
      });
    };
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    forget(idleMs, how) {
      const idle = [...ways].filter(
        ({ isWaited, isDead, movedAtMs }) => !isWaited && !isDead && performance.now() - movedAtMs >= idleMs,
      );
      for (const way of idle) {
        if (how === 'silently') way.isDead = true;
        else for (const socket of [way.near, way.far]) socket.resetAndDestroy();
      }
      return idle.length;
    },
    async close() {
      for (const { near, far } of ways) for (const socket of [near, far]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
