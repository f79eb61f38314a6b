import fc from 'fast-check';
import { readAnswer } from '../../../src/im/answers.ts';

const read = (body: unknown) => readAnswer(200, {}, JSON.stringify(body));
const ok = { ActionStatus: 'OK', ErrorCode: 0, ErrorInfo: '' };

describe('an answer of the API', () => {
  it('is read as documented', () => {
    const body = { ...ok, FailAccounts: ['test3', 'test4'], RequestId: 'Id-1' };
    expect(read(body)).toEqual({
      kind: 'api',
      httpStatus: 200,
      errorCode: 0,
      errorInfo: '',
      failAccounts: ['test3', 'test4'],
      requestId: 'Id-1',
      body,
    });
  });

  it.each([
    [undefined, []],
    [null, []],
    [[], []],
    [
      ['a', 'a', 'b'],
      ['a', 'b'],
    ],
    [
      [7, 'b'],
      ['7', 'b'],
    ],
  ])('with FailAccounts %j lists %j', (FailAccounts, failAccounts) => {
    expect(read({ ...ok, FailAccounts })).toMatchObject({ kind: 'api', failAccounts });
  });

  it('keeps its error code if the list cannot be read', () => {
    expect(read({ ErrorCode: 70402, FailAccounts: 'x' })).toMatchObject({
      kind: 'api',
      errorCode: 70402,
      failAccounts: [],
    });
  });

  it('gives an ErrorInfo of one clean line and 300 characters', () => {
    const ErrorInfo = `bad\r\n\u001b[31m\u202e${'x'.repeat(400)}`;
    const answer = read({ ...ok, ErrorCode: 1, ErrorInfo });
    expect(answer.errorInfo).toHaveLength(300);
    expect(answer.errorInfo).toMatch(/^bad \[31m x+…$/);
    expect(read({ ...ok, ErrorCode: 1, ErrorInfo: { a: 1 } }).errorInfo).toBe('');
  });
});

describe('a 200 that cannot be trusted', () => {
  it.each([
    '',
    'OK',
    '<html>login</html>',
    '[]',
    'null',
    '0',
    '{"ErrorCode":0',
    '{}',
    '{"ErrorCode":"00"}',
    '{"ErrorCode":null}',
    '{"ErrorCode":0.5}',
    '{"ErrorCode":0,"ActionStatus":"FAIL"}',
    '{"ErrorCode":0,"ActionStatus":null}',
    '{"ErrorCode":0,"ActionStatus":"OK","FailAccounts":"a"}',
    '{"ErrorCode":0,"ActionStatus":"OK","FailAccounts":{"a":1}}',
    '{"ErrorCode":0,"ActionStatus":"OK","FailAccounts":["a",{}]}',
  ])('%s is garbage', (text) => {
    expect(readAnswer(200, {}, text)).toMatchObject({ kind: 'fault', fault: 'garbage', sent: true });
  });
});

describe('any other status', () => {
  it('is not an answer of the API, even if the body looks like one', () => {
    expect(readAnswer(502, {}, JSON.stringify(ok))).toMatchObject({ kind: 'http', httpStatus: 502 });
  });

  it('gives the text of the page', () => {
    const page = '<html><style>b{}</style><h1>502 Bad\nGateway</h1><hr>nginx</html>';
    expect(readAnswer(502, {}, page).errorInfo).toBe('HTTP 502 502 Bad Gateway nginx');
  });

  it('hides the signature of an address that the page quotes', () => {
    const page = 'Not Found: /v4/x?sdkappid=1&usersig=eJw*SECRET-_&random=5 and usersig%3DSECRET';
    const { errorInfo } = readAnswer(404, {}, page);
    expect(errorInfo).not.toContain('SECRET');
    expect(errorInfo).toContain('random=5');
  });

  it.each([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '99999999' }, 3_600_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('with %j waits %p ms', (headers, retryAfterMs) => {
    const answer = readAnswer(429, headers, '');
    expect(answer.kind === 'http' ? answer.retryAfterMs : 'none').toBe(retryAfterMs);
  });
});

it('removes secrets from every text of the body before it cuts', () => {
  const clean = (text: string) => text.replaceAll('SECRET', '…');
  const ErrorInfo = `${'x'.repeat(296)}SECRET`;
  const answer = readAnswer(
    200,
    {},
    JSON.stringify({ ...ok, ErrorCode: 1, ErrorInfo, Deep: [{ a: 'SECRET' }] }),
    clean,
  );
  expect(JSON.stringify(answer)).not.toContain('SECR');
  expect(readAnswer(500, {}, 'SECRET', clean).errorInfo).not.toContain('SECRET');
});

it('never throws for any answer', () => {
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc
      .record({ ErrorCode: fc.anything(), ActionStatus: fc.anything() })
      .map((v) => JSON.stringify(v, (_k, x) => (typeof x === 'bigint' ? 1 : x))),
  );
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 599 }), body, (status, text) => {
      const { errorInfo } = readAnswer(status, {}, text ?? '');
      expect(errorInfo.length).toBeLessThanOrEqual(300);
      expect(errorInfo).not.toMatch(/\p{Cc}/u);
    }),
  );
});
