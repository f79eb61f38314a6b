import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { Answer } from '../../../src/im/answers.ts';
import { createImClient, type ImClient } from '../../../src/im/client.ts';
import { type RawServer, startRawServer } from './raw-server.ts';

/** Answers as gateways rewrite them, byte by byte over a real connection. */
const BODY = '{"AccountList":[{"UserID":"anna"}]}';
const API = '{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","FailAccounts":["anna"]}';
const READ = { kind: 'api', errorCode: 0, failAccounts: ['anna'] };

let server: RawServer | undefined;
let client: ImClient | undefined;
afterEach(async () => {
  client?.close();
  await server?.close();
});

/** The answer to a call whose server writes `parts`, and closes if `ends`. */
async function answerTo(
  parts: readonly (string | Buffer)[],
  ends = false,
  timeoutMs = 5_000,
): Promise<Answer> {
  server = await startRawServer(({ socket }) => {
    for (const part of parts) socket.write(part);
    if (ends) socket.end();
  });
  client = createImClient({
    baseUrl: server.baseUrl,
    sdkAppId: 1,
    adminId: 'administrator',
    userSig: () => 'eJw-SIGNATURE',
    callTimeoutMs: timeoutMs,
  });
  const call = client.prepare('multiaccount_import', BODY);
  await call.connected;
  return call.send();
}

/** A response with its length. */
function reply(body: string | Buffer, ...headers: readonly string[]): (string | Buffer)[] {
  const bytes = Buffer.from(body);
  return [['HTTP/1.1 200 OK', `content-length: ${bytes.length}`, ...headers, '', ''].join('\r\n'), bytes];
}

const utf16 = (text: string): Buffer => Buffer.from(`\uFEFF${text}`, 'utf16le');

test.each([
  ['gzip', reply(gzipSync(API), 'content-encoding: gzip')],
  ['gzip that no header names', reply(gzipSync(API))],
  ['gzip that was unpacked, with its header', reply(API, 'content-encoding: gzip')],
  ['deflate', reply(deflateSync(API), 'content-encoding: deflate')],
  ['deflate without the form of zlib', reply(deflateRawSync(API), 'content-encoding: deflate')],
  ['br', reply(brotliCompressSync(API), 'content-encoding: br')],
  ['br, then gzip', reply(gzipSync(brotliCompressSync(API)), 'Content-Encoding: br, gzip')],
  ['a byte order mark', reply(`\uFEFF${API}`)],
  ['UTF-16, little end first', reply(utf16(API))],
  ['UTF-16, big end first', reply(utf16(API).swap16())],
  [
    'UTF-16 by its header',
    reply(Buffer.from(API, 'utf16le'), 'content-type: application/json; charset=utf-16le'),
  ],
  ['an ErrorCode that is a text', reply(API.replace(':0,', ':"0",'))],
  ['white space and NUL behind it', reply(`${API}\r\n\0\0`)],
  ['a chunked body', [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4a\r\n${API}\r\n0\r\n\r\n`]],
  ['100 Continue before it', ['HTTP/1.1 100 Continue\r\n\r\n', ...reply(API)]],
  ['103 Early Hints before it', ['HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n', ...reply(API)]],
])('%s is read', async (_name, parts) => {
  expect(await answerTo(parts)).toMatchObject(READ);
});

test('HTTP/1.0 without a length is read to its end', async () => {
  expect(await answerTo([`HTTP/1.0 200 OK\r\n\r\n${API}`], true)).toMatchObject(READ);
});

const bomb = gzipSync(Buffer.alloc(50 * 1_048_576));
const garbage = (words: RegExp) => ({
  kind: 'fault',
  fault: 'garbage',
  sent: true,
  errorInfo: expect.stringMatching(words),
});

test.each([
  [
    'damaged gzip',
    reply(gzipSync(API).subarray(0, 30), 'content-encoding: gzip'),
    /\(30 bytes that cannot be read, damaged: 1f 8b 08 00 [\da-f ]+ …\)/,
  ],
  ['gzip that unpacks to 50 MB', reply(bomb), /cannot be read, more than 1048576 bytes unpacked: 1f 8b/],
  [
    'bytes of an unknown kind',
    reply(Buffer.from('28b52ffd00010203f0f1', 'hex'), 'content-encoding: zstd'),
    /\(10 bytes that cannot be read, no text: 28 b5 2f fd/,
  ],
  [
    'a page in HTML',
    reply('<html><script>x</script><h1>Log in, please</h1>'),
    /not the API's: Log in, please/,
  ],
  ['text behind the object', reply(`${API}<!-- seen by gw -->`), /not the API's/],
  ['two error codes', reply('{"ErrorCode":0,"ErrorCode":70402}'), /more than one ErrorCode/],
  ['two lists', reply(API.replace('}', ',"FailAccounts":[]}')), /more than one FailAccounts/],
  ['an ErrorCode that is no number', reply('{"ErrorCode":"0x0"}'), /without an ErrorCode that is a number/],
  ['10 MB', reply(Buffer.alloc(10 * 1_048_576, 32)), /more than 1048576 bytes/],
  [
    'a length and chunks',
    [`HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4a\r\n${API}\r\n0\r\n\r\n`],
    /no answer of the API \(HPE_/,
  ],
])('%s is in doubt, and is told in safe words', async (_name, parts, words) => {
  const answer = await answerTo(parts);
  expect(answer).toMatchObject(garbage(words));
  expect(JSON.stringify(answer)).toMatch(/^[ -~…]+$/);
});

test('the same key inside of something else is no second one', async () => {
  expect(
    await answerTo(reply(API.replace('}', ',"ResultItem":[{"ErrorCode":5}],"x":"\\"ErrorCode\\":7"}'))),
  ).toMatchObject(READ);
});

test('ErrorCode 0 beside HTTP 500, and a redirect, are not the API', async () => {
  const said = reply(API);
  said[0] = String(said[0]).replace('200 OK', '500 Internal Server Error');
  expect(await answerTo(said)).toMatchObject({ kind: 'http', httpStatus: 500 });
  await server?.close();
  expect(
    await answerTo([
      'HTTP/1.1 302 Found\r\nlocation: http://portal/?usersig=abc\r\ncontent-length: 0\r\n\r\n',
    ]),
  ).toMatchObject({ kind: 'http', httpStatus: 302, errorInfo: 'HTTP 302' });
});

test('an answer of a byte now and then ends with the time of the call', async () => {
  const [head = '', bytes = ''] = reply(API);
  server = await startRawServer(({ socket }) => {
    let at = 0;
    socket.write(head);
    const timer = setInterval(() => socket.write(String(bytes).slice(at, ++at)), 50);
    socket.once('close', () => clearInterval(timer));
  });
  client = createImClient({
    baseUrl: server.baseUrl,
    sdkAppId: 1,
    adminId: 'a',
    userSig: () => 'S',
    callTimeoutMs: 300,
  });
  const call = client.prepare('multiaccount_import', BODY);
  await call.connected;
  expect(await call.send()).toMatchObject({ kind: 'fault', fault: 'timeout', sent: true });
});
