import type { Socket } from 'node:net';
import { createImClient, type ImClient, type ImClientOptions } from '../../../src/im/client.ts';
import { eventually } from '../../support/eventually.ts';
import { type RawServer, response, SUCCESS, startRawServer } from './raw-server.ts';

const BODY = '{"AccountList":[{"UserID":"anna"}]}';
/** Longer than a test may take: nothing here ends by a time-out. */
const NEVER_MS = 600_000;

let server: RawServer | undefined;
const clients: ImClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.abort();
  await server?.close();
  server = undefined;
});

/** Answers each request with success, and counts them. */
async function serve() {
  const requests: string[] = [];
  server = await startRawServer(({ socket, text }) => {
    requests.push(text);
    socket.write(response('200 OK', SUCCESS));
  });
  return { ...server, requests };
}

function connect(baseUrl: string, options: Partial<ImClientOptions> = {}): ImClient {
  const client = createImClient({
    baseUrl,
    sdkAppId: 1,
    adminId: 'administrator',
    userSig: () => 'SIG',
    callTimeoutMs: NEVER_MS,
    ...options,
  });
  clients.push(client);
  return client;
}

async function callOnce(im: ImClient): Promise<void> {
  const call = im.prepare('multiaccount_import', BODY);
  await call.connected;
  expect(await call.send()).toMatchObject({ kind: 'api' });
}

function closed(socket: Socket | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (socket === undefined || socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** Until the server has its connection and the client was told that it stands. */
async function stands(sockets: readonly Socket[]): Promise<void> {
  await eventually('a connection', () => sockets.length > 0, 30_000, 1);
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}

describe('a call that is expected', () => {
  it('uses the connection that is on its way', async () => {
    const { baseUrl, sockets, requests } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    await callOnce(im);
    expect([sockets.length, requests.length]).toEqual([1, 1]);
  });

  it('finds a ready connection with nothing sent', async () => {
    const { baseUrl, sockets, requests } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    await stands(sockets);
    expect(sockets[0]?.bytesRead).toBe(0);
    const call = im.prepare('account_check', '{}');
    expect(call.isConnected()).toBe(true);
    expect(await call.send()).toMatchObject({ kind: 'api' });
    expect([sockets.length, requests.length]).toEqual([1, 1]);
  });

  it('has the connection to itself', async () => {
    const { baseUrl, sockets, requests } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    const first = im.prepare('account_check', '{}');
    const second = im.prepare('account_check', '{}');
    await Promise.all([first.connected, second.connected]);
    const third = im.prepare('account_check', '{}');
    expect(third.isConnected()).toBe(false);
    await third.connected;
    const answers = await Promise.all([first.send(), second.send(), third.send()]);
    for (const answer of answers) expect(answer).toMatchObject({ kind: 'api' });
    expect([sockets.length, requests.length]).toEqual([3, 3]);
  });

  it('takes an unsent connection if there is one', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    const given = im.prepare('account_check', '{}');
    await given.connected;
    given.abandon();
    im.expectCall();
    const call = im.prepare('account_check', '{}');
    expect(call.isConnected()).toBe(true);
    expect(await call.send()).toMatchObject({ kind: 'api' });
    expect(sockets).toHaveLength(1);
  });

  it('opens one connection, however often it is expected', async () => {
    const { baseUrl, sockets, requests } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    im.expectCall();
    await stands(sockets);
    im.expectCall();
    im.expectCall();
    // A second one would have been made before this, and taken in by the server before it answers.
    await callOnce(connect(baseUrl));
    await callOnce(im);
    expect([sockets.length, requests.length]).toEqual([2, 2]);
  });

  it('leaves its connection to a later call if it does not come', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    await stands(sockets);
    const call = im.prepare('account_check', '{}');
    expect(call.isConnected()).toBe(true);
    call.abandon();
    await callOnce(im);
    expect(sockets).toHaveLength(1);
  });

  it('makes its own connection if the expected one broke', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    await stands(sockets);
    sockets[0]?.resetAndDestroy();
    await closed(sockets[0]);
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    await callOnce(im);
    expect(sockets).toHaveLength(2);
  });
});

describe('a closed client', () => {
  it('opens nothing for a call that is expected', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    im.close();
    im.expectCall();
    // A connection of the closed one would have been made before this one.
    await callOnce(connect(baseUrl));
    expect(sockets).toHaveLength(1);
  });

  it('has closed the connection that no call used', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    await stands(sockets);
    im.close();
    await closed(sockets[0]);
    expect(sockets).toHaveLength(1);
  });

  it('closes the connection that is being made', async () => {
    const { baseUrl, sockets } = await serve();
    const im = connect(baseUrl);
    im.expectCall();
    im.close();
    const other = connect(baseUrl);
    await callOnce(other);
    other.close();
    await Promise.all(sockets.map(closed));
    const late = im.prepare('account_check', '{}');
    expect(await late.connected).toBe(false);
  });

  it('breaks off a stuck handshake when it is aborted', async () => {
    const { port, sockets } = await serve();
    const im = connect(`https://127.0.0.1:${port}`);
    im.expectCall();
    await stands(sockets);
    im.abort();
    await closed(sockets[0]);
    expect(sockets).toHaveLength(1);
  });
});
