import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { ArrivalMeter, type ArrivalReport, StallWatch, TICK_MS } from '../../simulator/traffic/arrivals.ts';

/** The first hop of a worker's calls: carries all, and notes when each call comes from the worker. */
export interface SentCalls {
  readonly port: number;
  /** The calls so far, by the moments at which they left the worker. */
  report(): ArrivalReport;
  close(): Promise<void>;
}

/** The record type of TLS 1.2 that carries what the application says. 1.3 gives it to its handshake, too. */
const APPLICATION_DATA = 0x17;
const RECORD_HEADER_BYTES = 5;

/**
 * Stands before an HTTP proxy through which calls go by CONNECT and TLS 1.2. A call comes when its connection
 * carries the first application data after the handshake, or after an answer.
 */
export async function startSentCalls(proxyPort: number): Promise<SentCalls> {
  const sockets = new Set<Socket>();
  const meter = new ArrivalMeter();
  const stalls = new StallWatch(performance.now());
  const tick = setInterval(() => {
    stalls.tick(performance.now());
    setImmediate(() => stalls.polled());
  }, TICK_MS);
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: proxyPort, host: '127.0.0.1', noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket)).on('error', () => undefined);
    }
    let answered = true;
    const recordTypes = createRecordReader();
    near.on('data', (chunk: Buffer) => {
      const nowMs = performance.now();
      if (recordTypes(chunk).includes(APPLICATION_DATA) && answered) {
        meter.add(nowMs, stalls.earliest(nowMs));
        answered = false;
      }
    });
    far.on('data', () => {
      answered = true;
    });
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    report: () => meter.report(performance.now()),
    async close() {
      clearInterval(tick);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tells the types of the TLS records that begin in each chunk. The first chunk is the CONNECT before them. */
function createRecordReader(): (chunk: Buffer) => readonly number[] {
  let isConnect = true;
  let header: number[] = [];
  let bodyLeft = 0;
  return (chunk) => {
    if (isConnect) {
      isConnect = !chunk.includes('\r\n\r\n');
      return [];
    }
    const types: number[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (bodyLeft > 0) {
        const passed = Math.min(bodyLeft, chunk.length - at);
        bodyLeft -= passed;
        at += passed;
        continue;
      }
      header.push(chunk[at++] ?? 0);
      if (header.length < RECORD_HEADER_BYTES) continue;
      const [type = 0, , , high = 0, low = 0] = header;
      types.push(type);
      bodyLeft = high * 256 + low;
      header = [];
    }
    return types;
  };
}
