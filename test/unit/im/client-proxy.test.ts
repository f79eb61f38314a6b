import { type AddressInfo, createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { createImClient, type ImClient } from '../../../src/im/client.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';
import { eventually } from '../../support/eventually.ts';
import { response, SUCCESS } from './raw-server.ts';
import { TEST_CERT, TEST_KEY } from './tls-cert.ts';

const BODY = '{"AccountList":[{"UserID":"anna"}]}';
const LOGIN = `Basic ${Buffer.from('worker:p@ss word').toString('base64')}`;

let client: ImClient | undefined;
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  client?.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** An API over TLS. `requests`: what came in. */
async function startApi(): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = createTlsServer({ cert: TEST_CERT, key: TEST_KEY }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      requests.push(chunk.toString());
      socket.write(response('200 OK', SUCCESS));
    });
  });
  return { port: await listen(server), requests };
}

/** Reads the head of a request, and says what `answer` returns. 200 opens a tunnel to 127.0.0.1. */
function proxyServer(heads: string[], answer: (head: string) => string): (socket: Socket) => void {
  return (socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', function onData(chunk: Buffer) {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      heads.push(text);
      const said = answer(text);
      text = '';
      if (!said.startsWith('HTTP/1.1 200') || !heads.at(-1)?.startsWith('CONNECT')) {
        socket.write(said);
        return;
      }
      socket.off('data', onData);
      const port = Number(/^CONNECT \S+:(\d+)/.exec(heads.at(-1) ?? '')?.[1]);
      const onward = netConnect(port, '127.0.0.1', () => socket.write(said));
      sockets.add(onward);
      onward.on('error', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
  };
}

const OPENED = 'HTTP/1.1 200 Connection established\r\n\r\n';

function connect(baseUrl: string, proxyUrl: string, callTimeoutMs = 5_000): ImClient {
  client = createImClient({
    baseUrl,
    sdkAppId: 1,
    adminId: 'administrator',
    userSig: () => 'SIG',
    callTimeoutMs,
    ca: TEST_CERT,
    proxyOf: () => ({ variable: 'IMSYNC_PROXY_URL', read: () => new URL(proxyUrl), shown: () => 'shown' }),
  });
  return client;
}

async function callOnce(im: ImClient) {
  const call = im.prepare('multiaccount_import', BODY);
  await call.connected;
  return call.send();
}

test('the tunnel and its TLS stand before the call is sent, and serve the next calls', async () => {
  const api = await startApi();
  const heads: string[] = [];
  const port = await listen(createServer(proxyServer(heads, () => OPENED)));
  // The name is one that only the proxy can resolve; the certificate must be for it.
  const im = connect(`https://localhost:${api.port}`, `http://worker:p%40ss%20word@127.0.0.1:${port}`);
  const call = im.prepare('multiaccount_import', BODY);
  expect(call.isConnected()).toBe(false);
  expect(await call.connected).toBe(true);
  expect(call.isConnected()).toBe(true);
  expect(api.requests).toEqual([]);
  expect(await call.send()).toMatchObject({ kind: 'api', errorCode: 0 });
  expect(await callOnce(im)).toMatchObject({ kind: 'api' });
  expect(heads).toHaveLength(1);
  expect(heads[0]).toContain(`CONNECT localhost:${api.port} HTTP/1.1`);
  expect(heads[0]).toContain(`proxy-authorization: ${LOGIN}`);
  // The login is for the proxy, and the signature is not.
  expect(api.requests.join('')).not.toMatch(/proxy-authorization/i);
  expect(heads.join('')).not.toContain('SIG');
});

test('a proxy at https://', async () => {
  const api = await startApi();
  const heads: string[] = [];
  const port = await listen(
    createTlsServer(
      { cert: TEST_CERT, key: TEST_KEY },
      proxyServer(heads, () => OPENED),
    ),
  );
  expect(await callOnce(connect(`https://localhost:${api.port}`, `https://localhost:${port}`))).toMatchObject(
    {
      kind: 'api',
    },
  );
  expect(heads).toHaveLength(1);
});

test('an API at http:// is called by the proxy, which gets the whole address and the login', async () => {
  const heads: string[] = [];
  const port = await listen(createServer(proxyServer(heads, () => response('200 OK', SUCCESS))));
  const im = connect('http://api.test:81/in', `http://worker:p%40ss%20word@127.0.0.1:${port}`);
  expect(await callOnce(im)).toMatchObject({ kind: 'api' });
  expect(await callOnce(im)).toMatchObject({ kind: 'api' });
  expect(heads[1]).toMatch(
    /^POST http:\/\/api\.test:81\/in\/v4\/im_open_login_svc\/multiaccount_import\?sdk/,
  );
  expect(heads[1]).toContain('Host: api.test:81');
  expect(heads[1]).toContain(`proxy-authorization: ${LOGIN}`);
  expect(sockets.size).toBe(1);
});

test('SOCKS 5 with a login; the proxy resolves the name', async () => {
  const api = await startApi();
  const heard: string[] = [];
  const port = await listen(
    createServer((socket) => {
      const steps = [
        () => socket.write(Buffer.from([5, 2])),
        () => socket.write(Buffer.from([1, heard[1]?.includes('p@ss word') ? 0 : 1])),
        () => {
          socket.removeAllListeners('data');
          const onward = netConnect(api.port, '127.0.0.1', () =>
            socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])),
          );
          sockets.add(onward);
          socket.pipe(onward).pipe(socket);
        },
      ];
      socket.on('data', (chunk) => {
        heard.push(chunk.toString('latin1'));
        steps[heard.length - 1]?.();
      });
    }),
  );
  const at = `https://localhost:${api.port}`;
  const im = connect(at, `socks5://worker:p%40ss%20word@127.0.0.1:${port}`);
  expect(await callOnce(im)).toMatchObject({ kind: 'api' });
  expect(heard[2]).toContain('localhost');
  im.close();
  heard.length = 0;
  expect(await callOnce(connect(at, `socks5://worker:wrong@127.0.0.1:${port}`))).toMatchObject({
    fault: 'proxy',
    errorInfo: `no way through the proxy (the proxy 127.0.0.1:${port} wants another user or password)`,
  });
});

const head = (status: string, ...headers: string[]): string =>
  [`HTTP/1.1 ${status}`, ...headers, 'content-length: 0', '', ''].join('\r\n');

test.each([
  ['wants a login', head('407 Login'), 'proxy', /wants a user and a password: HTTP 407/],
  [
    'wants a login that is not spoken here',
    head('407 Login', 'proxy-authenticate: NTLM', 'proxy-authenticate: Negotiate'),
    'proxy',
    /wants a login by NTLM or Negotiate, and only Basic is spoken here: HTTP 407/,
  ],
  ['refuses', head('403 Forbidden'), 'proxy', /refuses a connection to localhost:9: HTTP 403/],
  ['redirects', head('302 Found', 'location: http://login'), 'proxy', /refuses a connection .*HTTP 302/],
  ['cannot reach the API', head('503 Unavailable'), 'connect', /cannot reach localhost:9: HTTP 503/],
  ['is no proxy', 'SSH-2.0-OpenSSH\r\n', 'proxy', /the proxy 127\.0\.0\.1:\d+: HPE_/],
])('a proxy that %s', async (_does, said, fault, words) => {
  const port = await listen(createServer(proxyServer([], () => said)));
  const answer = await callOnce(connect('https://localhost:9', `http://127.0.0.1:${port}`));
  expect(answer).toMatchObject({ kind: 'fault', fault, sent: false });
  expect(answer).toHaveProperty('errorInfo', expect.stringMatching(words));
  const verdict = verdictOf('multiaccount_import', answer);
  expect(verdict).toMatchObject({ class: 'retry', outcomeKnown: true });
  expect(verdict.holdKind).toBe(fault === 'proxy' ? 'proxy' : undefined);
});

test('a proxy that is away, one that closes, and one that says nothing', async () => {
  const away = await listen(createServer());
  await new Promise((resolve) => servers.pop()?.close(resolve));
  const closes = await listen(createServer((socket) => socket.end()));
  const silent = await listen(createServer(() => undefined));
  const faults = [];
  for (const port of [away, closes, silent])
    faults.push(await callOnce(connect('https://localhost:9', `http://127.0.0.1:${port}`, 300)));
  expect(faults).toMatchObject([
    { fault: 'proxy', sent: false, errorInfo: expect.stringContaining(`127.0.0.1:${away}: ECONNREFUSED`) },
    { fault: 'proxy', sent: false, errorInfo: expect.stringContaining(`127.0.0.1:${closes}: `) },
    { fault: 'proxy', sent: false, errorInfo: expect.stringContaining(`127.0.0.1:${silent}: no answer`) },
  ]);
});

test("the API's certificate is judged behind the proxy", async () => {
  const api = await startApi();
  const port = await listen(createServer(proxyServer([], () => OPENED)));
  // The certificate is for localhost and 127.0.0.1.
  const answer = await callOnce(connect(`https://api.test:${api.port}`, `http://127.0.0.1:${port}`));
  expect(answer).toMatchObject({ fault: 'tls', sent: false, errorInfo: expect.stringContaining('ALTNAME') });
});

test('closing the client ends a tunnel that is being opened', async () => {
  let closed = 0;
  const port = await listen(
    createServer((socket) => {
      socket.on('close', () => closed++);
      socket.once('data', () => client?.close());
    }),
  );
  const call = connect('https://localhost:9', `http://127.0.0.1:${port}`).prepare('account_import', BODY);
  expect(await call.connected).toBe(false);
  await eventually('the proxy sees the end', () => closed === 1);
});
