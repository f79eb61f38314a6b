import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { createImClient, type ImClient } from '../../../src/im/client.ts';
import { response, SUCCESS } from './raw-server.ts';
import { TEST_CERT, TEST_KEY } from './tls-cert.ts';

const BODY = '{"AccountList":[{"UserID":"anna"}]}';

let client: ImClient | undefined;
const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  client?.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function connect(port: number, ca?: string): ImClient {
  client = createImClient({
    baseUrl: `https://127.0.0.1:${port}`,
    sdkAppId: 1,
    adminId: 'administrator',
    userSig: () => 'SIG',
    callTimeoutMs: 5000,
    ...(ca !== undefined && { ca }),
  });
  return client;
}

async function startTls(): Promise<{ port: number; secured: TLSSocket[]; chunks: string[] }> {
  const secured: TLSSocket[] = [];
  const chunks: string[] = [];
  const server = createTlsServer({ cert: TEST_CERT, key: TEST_KEY }, (socket) => {
    secured.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      chunks.push(chunk.toString());
      if (chunks.join('').endsWith(BODY)) socket.write(response('200 OK', SUCCESS));
    });
  });
  return { port: await listen(server), secured, chunks };
}

it('is connected when the handshake is done, and sends nothing before send()', async () => {
  const { port, secured, chunks } = await startTls();
  const im = connect(port, TEST_CERT);
  const call = im.prepare('multiaccount_import', BODY);
  expect(await call.connected).toBe(true);
  expect(call.isConnected()).toBe(true);
  const other = im.prepare('multiaccount_import', BODY);
  await other.connected;
  expect(await other.send()).toMatchObject({ kind: 'api' });
  expect(secured).toHaveLength(2);
  chunks.length = 0;
  expect(await call.send()).toMatchObject({ kind: 'api' });
  expect(chunks.join('')).toMatch(/^POST .*\{"AccountList"/s);
});

it('uses a TLS connection again after a call', async () => {
  const { port, secured } = await startTls();
  const im = connect(port, TEST_CERT);
  for (let round = 0; round < 3; round += 1) {
    const call = im.prepare('account_import', BODY);
    expect(await call.connected).toBe(true);
    expect(await call.send()).toMatchObject({ kind: 'api' });
  }
  expect(secured).toHaveLength(1);
});

it('refuses a certificate of an unknown authority', async () => {
  const { port, chunks } = await startTls();
  const call = connect(port).prepare('account_import', BODY);
  expect(await call.connected).toBe(false);
  expect(await call.send()).toMatchObject({
    fault: 'tls',
    sent: false,
    errorInfo: expect.stringContaining('CERT'),
  });
  expect(chunks).toEqual([]);
});

it('is not connected before the TLS handshake is done', async () => {
  let accepted: (() => void) | undefined;
  const arrival = new Promise<void>((resolve) => {
    accepted = resolve;
  });
  const port = await listen(createTcpServer(() => accepted?.()));
  const call = connect(port).prepare('account_import', BODY);
  await arrival;
  expect(call.isConnected()).toBe(false);
  expect(await call.send()).toMatchObject({ fault: 'connect', sent: false });
});
