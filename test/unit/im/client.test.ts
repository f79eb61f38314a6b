import type { Socket } from 'node:net';
import type { Answer } from '../../../src/im/answers.ts';
import { createImClient, type ImClient, type ImClientOptions } from '../../../src/im/client.ts';
import { type RawServer, response, SUCCESS, startRawServer } from './raw-server.ts';

const SIG = 'eJw*SECRET-SIGNATURE_';
const BODY = '{"AccountList":[{"UserID":"anna"}]}';

let server: RawServer | undefined;
let client: ImClient | undefined;

afterEach(async () => {
  client?.close();
  await server?.close();
  client = undefined;
  server = undefined;
});

async function serve(...args: Parameters<typeof startRawServer>): Promise<RawServer> {
  server = await startRawServer(...args);
  return server;
}

function connect(baseUrl: string, options: Partial<ImClientOptions> = {}): ImClient {
  client = createImClient({
    baseUrl,
    sdkAppId: 1_400_000_000,
    adminId: 'administrator',
    userSig: () => SIG,
    callTimeoutMs: 5000,
    ...options,
  });
  return client;
}

async function callOnce(im: ImClient): Promise<Answer> {
  const call = im.prepare('multiaccount_import', BODY);
  await call.connected;
  return call.send();
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** Turns of the event loop: what the kernel has for us is read, and nothing waits on a clock. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

const answerOk = ({ socket }: { socket: Socket }) => {
  socket.write(response('200 OK', SUCCESS));
};

describe('a prepared call', () => {
  it('connects and sends no byte before send(), then headers and body in one packet', async () => {
    const packets: string[] = [];
    const { baseUrl, sockets } = await serve(answerOk, (socket) => {
      socket.on('data', (chunk) => packets.push(chunk.toString()));
    });
    const call = connect(baseUrl).prepare('multiaccount_import', BODY);
    expect(call.isConnected()).toBe(false);
    expect(await call.connected).toBe(true);
    expect(call.isConnected()).toBe(true);
    // A byte sent before this second connection was made and answered would have arrived by now.
    await callOnce(connect(baseUrl));
    expect(sockets[0]?.bytesRead).toBe(0);
    packets.length = 0;
    let left = 0;
    const answer = await call.send(() => {
      left += 1;
    });
    expect(answer).toMatchObject({ kind: 'api', httpStatus: 200, errorCode: 0 });
    expect(left).toBe(1);
    expect(packets.map((packet) => packet.replace(/random=\d{1,10}&/, 'random=RANDOM&'))).toEqual([
      [
        'POST /v4/im_open_login_svc/multiaccount_import?sdkappid=1400000000&identifier=administrator' +
          `&usersig=${SIG}&random=RANDOM&contenttype=json HTTP/1.1`,
        'user-agent: im-account-sync',
        'content-type: application/json',
        `Host: ${new URL(baseUrl).host}`,
        `content-length: ${BODY.length}`,
        'Connection: keep-alive',
        '',
        BODY,
      ].join('\r\n'),
    ]);
  });

  it('has passed its bytes to the system before the next turn of the event loop', async () => {
    const { baseUrl, received } = await serve(answerOk);
    const call = connect(baseUrl).prepare('multiaccount_import', BODY);
    await call.connected;
    const answer = call.send();
    // The rest of this turn, and one turn in which the server's end is polled.
    await turns(2);
    expect(received(0)).toContain(BODY);
    await answer;
  });

  it('uses a connection again', async () => {
    const { baseUrl, sockets } = await serve(answerOk);
    const im = connect(baseUrl);
    for (let round = 0; round < 3; round += 1) expect(await callOnce(im)).toMatchObject({ kind: 'api' });
    expect(sockets).toHaveLength(1);
  });

  it('counts bytes of UTF-8 and takes 100 profiles of full length', async () => {
    const bodies: string[] = [];
    const { baseUrl } = await serve(({ socket, text }) => {
      bodies.push(Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1').toString('utf8'));
      socket.write(response('200 OK', SUCCESS));
    });
    const body = JSON.stringify({ AccountList: Array(100).fill({ UserID: 'a', Nick: '明'.repeat(166) }) });
    const call = connect(baseUrl).prepare('multiaccount_import', body);
    await call.connected;
    expect(await call.send()).toMatchObject({ kind: 'api' });
    expect(bodies).toEqual([body]);
  });

  it('keeps a path before /v4', async () => {
    const { baseUrl, received } = await serve(answerOk);
    await callOnce(connect(`${baseUrl}/gate/`));
    expect(received(0)).toMatch(/^POST \/gate\/v4\/im_open_login_svc\/multiaccount_import\?/);
  });

  it('is not sent if it is not connected', async () => {
    const { baseUrl } = await serve(answerOk);
    const answer = await connect(baseUrl).prepare('account_import', BODY).send();
    expect(answer).toMatchObject({ kind: 'fault', fault: 'connect', sent: false });
  });

  it('is sent only once', async () => {
    const { baseUrl } = await serve(answerOk);
    const call = connect(baseUrl).prepare('account_import', BODY);
    await call.connected;
    expect(await call.send()).toMatchObject({ kind: 'api' });
    expect(await call.send()).toMatchObject({ kind: 'fault', fault: 'aborted', sent: false });
  });
});

describe('a call given up', () => {
  it('sends nothing, and closes its connection', async () => {
    const { baseUrl, sockets, received } = await serve(answerOk);
    const im = connect(baseUrl);
    const given = im.prepare('multiaccount_import', BODY);
    await given.connected;
    given.abandon();
    expect(given.isConnected()).toBe(false);
    expect(await given.send()).toMatchObject({ fault: 'aborted', sent: false });
    await Promise.all(sockets.map(closed));
    expect(await callOnce(im)).toMatchObject({ kind: 'api' });
    expect([received(0), sockets.length]).toEqual(['', 2]);
  });

  it('leaves nothing behind if it was not connected', async () => {
    const { baseUrl } = await serve(answerOk);
    const call = connect(baseUrl).prepare('account_import', BODY);
    call.abandon();
    expect(await call.connected).toBe(false);
  });

  it('goes on if it was sent before', async () => {
    const { baseUrl } = await serve(answerOk);
    const call = connect(baseUrl).prepare('account_import', BODY);
    await call.connected;
    const answer = call.send();
    call.abandon();
    expect(await answer).toMatchObject({ kind: 'api' });
  });
});

describe('a connection that fails', () => {
  it('is refused', async () => {
    const { baseUrl, close } = await serve(answerOk);
    await close();
    const call = connect(baseUrl).prepare('account_import', BODY);
    expect(await call.connected).toBe(false);
    expect(await call.send()).toMatchObject({
      fault: 'connect',
      sent: false,
      errorInfo: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is one to a name without an address', async () => {
    const call = connect('http://no-such-host.invalid').prepare('account_import', BODY);
    expect(await call.connected).toBe(false);
    expect(await call.send()).toMatchObject({ fault: 'dns', sent: false });
  });

  it('fails in the TLS handshake', async () => {
    const { port } = await serve(
      () => {},
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad\r\n\r\n')),
    );
    const call = connect(`https://127.0.0.1:${port}`).prepare('account_import', BODY);
    expect(await call.connected).toBe(false);
    expect(await call.send()).toMatchObject({ fault: 'tls', sent: false });
  });

  it('is broken off in the TLS handshake', async () => {
    const { port } = await serve(
      () => {},
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
    );
    const call = connect(`https://127.0.0.1:${port}`).prepare('account_import', BODY);
    expect(await call.connected).toBe(false);
    expect(await call.send()).toMatchObject({ fault: 'tls', sent: false });
  });

  it('never gets through its handshake', async () => {
    const { port } = await serve(() => {});
    const call = connect(`https://127.0.0.1:${port}`, { callTimeoutMs: 60 }).prepare('account_import', BODY);
    expect(await call.connected).toBe(false);
    expect(await call.send()).toMatchObject({ fault: 'connect', sent: false });
  });

  it('is closed by the server before its slot', async () => {
    const { baseUrl, sockets } = await serve(answerOk);
    const call = connect(baseUrl).prepare('account_import', BODY);
    expect(await call.connected).toBe(true);
    sockets[0]?.resetAndDestroy();
    // Nothing tells of the reset but this very property.
    while (call.isConnected()) await new Promise(setImmediate);
    expect(await call.send()).toMatchObject({ fault: 'reset', sent: false });
  });

  it('gets a 408 before anything was sent', async () => {
    const { baseUrl, received } = await serve(answerOk, (socket) =>
      socket.write(response('408 Request Timeout', '')),
    );
    const call = connect(baseUrl).prepare('account_import', BODY);
    await call.connected;
    while (call.isConnected()) await new Promise(setImmediate);
    expect(await call.send()).toMatchObject({ fault: 'reset', sent: false });
    expect(received(0)).toBe('');
  });
});

describe('an answer that does not come', () => {
  it('times out, counted from send()', async () => {
    const { baseUrl } = await serve(() => {});
    const call = connect(baseUrl, { callTimeoutMs: 60 }).prepare('account_import', BODY);
    await call.connected;
    expect(await call.send()).toMatchObject({
      fault: 'timeout',
      sent: true,
      errorInfo: 'no answer in time (60 ms)',
    });
  });

  it('times out if it stops halfway', async () => {
    const { baseUrl } = await serve(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"Act'),
    );
    expect(await callOnce(connect(baseUrl, { callTimeoutMs: 60 }))).toMatchObject({
      fault: 'timeout',
      sent: true,
    });
  });

  it('is a fault if the connection is reset', async () => {
    const { baseUrl } = await serve(({ socket }) => socket.resetAndDestroy());
    expect(await callOnce(connect(baseUrl))).toMatchObject({ fault: 'reset', sent: true });
  });

  it('is a fault if the connection is closed', async () => {
    const { baseUrl } = await serve(({ socket }) => socket.end());
    expect(await callOnce(connect(baseUrl))).toMatchObject({ fault: 'reset', sent: true });
  });

  it('is a fault if it is incomplete', async () => {
    const { baseUrl } = await serve(({ socket }) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"Act'),
    );
    expect(await callOnce(connect(baseUrl))).toMatchObject({ fault: 'reset', sent: true });
  });

  it('has an unknown outcome on a connection used before', async () => {
    const { baseUrl, sockets } = await serve(({ socket, earlier }) => {
      if (earlier === 0) socket.write(response('200 OK', SUCCESS));
      else socket.resetAndDestroy();
    });
    const im = connect(baseUrl);
    await callOnce(im);
    expect(await callOnce(im)).toMatchObject({ fault: 'reset', sent: true });
    expect(sockets).toHaveLength(1);
  });
});

describe('an answer of another kind', () => {
  it('is not HTTP', async () => {
    const { baseUrl } = await serve(({ socket }) => socket.end('220 mail.example ESMTP\r\n'));
    expect(await callOnce(connect(baseUrl))).toMatchObject({ fault: 'garbage', sent: true });
  });

  it('is a page with status 200', async () => {
    const { baseUrl } = await serve(({ socket }) => socket.write(response('200 OK', '<p>Please log in</p>')));
    const answer = await callOnce(connect(baseUrl));
    expect(answer).toMatchObject({
      fault: 'garbage',
      sent: true,
      errorInfo: expect.stringContaining('Please log in'),
    });
  });

  it('is a 502 page', async () => {
    const { baseUrl } = await serve(({ socket }) =>
      socket.write(response('502 Bad Gateway', '<h1>502 Bad Gateway</h1>')),
    );
    expect(await callOnce(connect(baseUrl))).toMatchObject({ kind: 'http', httpStatus: 502 });
  });

  it('is a 429 with Retry-After', async () => {
    const { baseUrl } = await serve(({ socket }) =>
      socket.write(response('429 Slow Down', '', ['Retry-After: 7'])),
    );
    expect(await callOnce(connect(baseUrl))).toMatchObject({
      kind: 'http',
      httpStatus: 429,
      retryAfterMs: 7000,
    });
  });

  it('is a redirection, which is not followed', async () => {
    const { baseUrl, sockets } = await serve(({ socket }) =>
      socket.write(response('302 Found', '', ['Location: http://127.0.0.1:1/'])),
    );
    expect(await callOnce(connect(baseUrl))).toMatchObject({ kind: 'http', httpStatus: 302 });
    expect(sockets).toHaveLength(1);
  });

  it('is endless', async () => {
    const { baseUrl } = await serve(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
      const more = () => {
        while (!socket.destroyed && socket.write(chunk));
        if (!socket.destroyed) socket.once('drain', more);
      };
      more();
    });
    expect(await callOnce(connect(baseUrl))).toMatchObject({
      fault: 'garbage',
      errorInfo: expect.stringContaining('more than'),
    });
    await Promise.all((server?.sockets ?? []).map(closed));
  });

  it('comes before the whole request was sent', async () => {
    const { baseUrl } = await serve(
      () => {},
      (socket) =>
        socket.once('data', () => {
          socket.pause();
          socket.write(response('413 Too Large', 'no'));
        }),
    );
    const call = connect(baseUrl).prepare('account_import', JSON.stringify({ Nick: 'x'.repeat(8_000_000) }));
    await call.connected;
    expect(await call.send()).toMatchObject({ kind: 'http', httpStatus: 413 });
  });
});

describe('secrets', () => {
  const bodyWithPassword = JSON.stringify({ Identifier: 'anna', IdentifierType: 3, Password: 'pas"122333' });

  it('are in no answer, even if the other side repeats them', async () => {
    const echoes: ((text: string) => string)[] = [
      (text) => response('404 Not Found', `<p>${text}</p>`),
      (text) => response('200 OK', text),
      (text) =>
        response(
          '200 OK',
          JSON.stringify({ ActionStatus: 'FAIL', ErrorCode: 60003, ErrorInfo: text, RequestId: text }),
        ),
      (text) =>
        response(
          '200 OK',
          JSON.stringify({
            ErrorCode: 1,
            ErrorInfo: `pas"122333 ${SIG.replace('*', '%2A')}`,
            Deep: { text },
          }),
        ),
    ];
    for (const echo of echoes) {
      const { baseUrl, close } = await startRawServer(({ socket, text }) => socket.write(echo(text)));
      const im = connect(baseUrl);
      const call = im.prepare('register_account_v1', bodyWithPassword);
      await call.connected;
      const shown = JSON.stringify(await call.send());
      expect(shown).not.toMatch(/SECRET|122333/);
      im.close();
      await close();
    }
  });

  it('are in no fault, and neither is an address', async () => {
    const faults: ((socket: Socket) => void)[] = [
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end('junk'),
      () => {},
    ];
    for (const act of faults) {
      const { baseUrl, close, port } = await startRawServer(({ socket }) => act(socket));
      const im = connect(baseUrl, { callTimeoutMs: 100 });
      const shown = JSON.stringify(await callOnce(im));
      expect(shown).toContain('"fault"');
      expect(shown).not.toMatch(/SECRET|usersig|v4|127\.0\.0\.1/);
      expect(shown).not.toContain(String(port));
      im.close();
      await close();
    }
  });

  it('fail only the call if they cannot be read', async () => {
    let isReadable = false;
    const { baseUrl } = await serve(answerOk);
    const im = connect(baseUrl, {
      userSig: () => {
        if (!isReadable) throw new Error('cannot read /run/secrets/key');
        return SIG;
      },
    });
    expect(await callOnce(im)).toEqual({
      kind: 'fault',
      fault: 'aborted',
      sent: false,
      errorInfo: 'the call was given up (no UserSig could be made)',
    });
    isReadable = true;
    expect(await callOnce(im)).toMatchObject({ kind: 'api' });
  });
});

describe('a closed client', () => {
  it('has closed its idle connections', async () => {
    const { baseUrl, sockets } = await serve(answerOk);
    const im = connect(baseUrl);
    await callOnce(im);
    im.close();
    await Promise.all(sockets.map(closed));
    expect(sockets).toHaveLength(1);
  });

  it('has broken off all calls', async () => {
    const { baseUrl, sockets } = await serve(() => undefined);
    const im = connect(baseUrl);
    const [sent, waiting] = [im.prepare('account_check', '{}'), im.prepare('account_check', '{}')];
    await Promise.all([sent.connected, waiting.connected]);
    const answer = sent.send();
    im.close();
    expect(await answer).toMatchObject({ kind: 'fault', fault: 'reset', sent: true });
    expect(waiting.isConnected()).toBe(false);
    expect(await waiting.send()).toMatchObject({ kind: 'fault', sent: false });
    await Promise.all(sockets.map(closed));
  });
});
