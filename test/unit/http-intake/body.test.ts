import fc from 'fast-check';
import {
  MAX_BODY_BYTES,
  MAX_USERS,
  readUser,
  refuseUnreadable,
  usersOfJson,
  usersOfLines,
} from '../../../src/http-intake/body.ts';
import { RefusedRequest } from '../../../src/http-intake/refused-request.ts';

type BodyForm = 'json' | 'ndjson';
const users = (body: string, form: BodyForm = 'json') =>
  form === 'json' ? usersOfJson(Buffer.from(body)) : usersOfLines(Buffer.from(body));
const refusal = (work: () => unknown): RefusedRequest => {
  try {
    work();
  } catch (error) {
    if (error instanceof RefusedRequest) return error;
    throw error;
  }
  throw new Error('it was not refused');
};
const BOUNDS = 'A request may hold 1,000 users and 1 MiB. Send several requests.';

describe('a body', () => {
  const value = fc.jsonValue({ maxDepth: 4 });

  test('that is a list holds its members, in order', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), fc.constantFrom(0, 1, 4), (list, indent) => {
        expect(users(JSON.stringify(list, null, indent))).toEqual(JSON.parse(JSON.stringify(list)));
      }),
    );
  });

  test('that is not JSON is never taken for a list of users', () => {
    const part = fc.constantFrom(...['[', ']', '{', '}', ',', ':', '"', '\\', '"a"', '1', ' ', '{"a":"]"}']);
    const isUsable = (body: string): boolean => {
      try {
        const whole: unknown = JSON.parse(body);
        return typeof whole === 'object' && whole !== null && (!Array.isArray(whole) || whole.length > 0);
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
        const body = parts.join('');
        let usable = true;
        try {
          users(body);
        } catch (error) {
          expect(error).toBeInstanceOf(RefusedRequest);
          usable = false;
        }
        expect([body, usable]).toEqual([body, isUsable(body)]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('of lines holds one user a line, without blank lines', () => {
    const lines = '\uFEFF{"a":1}\n\n  \r\n{"b":"x"}\r\nbroken';
    expect(users(lines, 'ndjson')).toEqual([{ a: 1 }, { b: 'x' }, undefined]);
    expect(users('\uFEFF {"a":[1,2]} ')).toEqual([{ a: [1, 2] }]);
  });

  test.each<[string, BodyForm, RegExp]>([
    ['', 'json', /holds no user/],
    ['\uFEFF', 'json', /holds no user/],
    [' [ ] ', 'json', /holds no user/],
    ['\n \n', 'ndjson', /holds no user/],
    ['"text"', 'json', /neither a JSON object nor a JSON list/],
    ['12', 'json', /neither/],
    ['null', 'json', /neither/],
    ['{"a":1}{"b":2}', 'json', /not valid JSON. Several users are a JSON list/],
    ['[{"a":1}] x', 'json', /not valid JSON/],
    ['[{"a":1}', 'json', /not valid JSON/],
    ['{"a":"', 'json', /not valid JSON/],
    ['[{"a":1}}', 'json', /not valid JSON/],
    ['[{"a":1},]', 'json', /not valid JSON/],
    ['['.repeat(MAX_BODY_BYTES), 'json', /not valid JSON/],
  ])('%.30s cannot be used', (body, form, words) => {
    const { status, error, message } = refusal(() => users(body, form));
    expect([status, error, message]).toEqual([400, 'malformed', expect.stringMatching(words)]);
  });

  test('never shows its text in the refusal, since it may hold a password', () => {
    expect(refusal(() => users('{"password":"pass-Word-1" x}')).message).not.toContain('pass');
  });

  test('of too many users is refused with the bounds', () => {
    const list = (count: number): string => `[${Array(count).fill('{}').join(',')}]`;
    expect(users(list(MAX_USERS))).toHaveLength(MAX_USERS);
    expect(users('{}\n'.repeat(MAX_USERS), 'ndjson')).toHaveLength(MAX_USERS);
    for (const work of [
      () => users(list(MAX_USERS + 1)),
      () => users('{}\n'.repeat(MAX_USERS + 1), 'ndjson'),
    ]) {
      expect(refusal(work)).toMatchObject({
        ...{ status: 413, error: 'too-many-users' },
        message: `The body holds too many users. ${BOUNDS}`,
      });
    }
  });
});

describe('the headers of a body', () => {
  test.each<[string | undefined, RegExp | undefined]>([
    ['application/json', undefined],
    ['Application/JSON; charset=UTF-8', undefined],
    ['application/json;charset="utf-8";x=1', undefined],
    ['application/x-ndjson', undefined],
    ['application/ndjson', undefined],
    ['application/json; charset=gbk', /content type is application\/json; charset=gbk/],
    ['application/jsonp', /content type is application\/jsonp/],
    ['application/x-www-form-urlencoded', /content type is application\/x-www-form-urlencoded/],
    ['text/plain', /content type is text\/plain/],
    [undefined, /content type is missing/],
  ])('with the content type %s', (type, words) => {
    const work = () => refuseUnreadable({ 'content-type': type });
    if (words === undefined) work();
    else expect(refusal(work)).toMatchObject({ status: 415, message: expect.stringMatching(words) });
  });

  test('with an encoding are refused', () => {
    const json = { 'content-type': 'application/json' };
    refuseUnreadable({ ...json, 'content-encoding': 'identity' });
    expect(refusal(() => refuseUnreadable({ ...json, 'content-encoding': 'gzip' }))).toMatchObject({
      ...{ status: 415, error: 'unsupported-media-type' },
      message: expect.stringContaining('the content encoding gzip'),
    });
  });
});

describe('a user of a body', () => {
  const read = (json: string, traceparent?: string) => readUser(users(json, 'ndjson')[0], traceparent);

  test('is what the producer takes; unknown fields travel along', () => {
    expect(read('{"userId":"ann","nick":"Ann","colour":"green","n":1}', '00-aa')).toEqual({
      userId: 'ann',
      user: { userId: 'ann', nick: 'Ann', traceparent: '00-aa', extra: { colour: 'green', n: 1 } },
      problems: [],
    });
    expect(read('{"userId":"ann","traceparent":"own"}', 'of-request').user).toMatchObject({
      traceparent: 'own',
    });
    expect(read('{"userId":9007199254740993}').userId).toBeUndefined();
  });

  test.each([
    ['{"userId":"a","face_url":"x"}', /"face_url" must be written faceUrl/],
    ['{"UserID":"a"}', /"UserID" must be written userId/],
    ['{"userId":"a","Nick":"x"}', /"Nick" must be written nick/],
    ['[1]', /must be a JSON object with a userId, not a list/],
    ['null', /not null/],
    ['"ann"', /not a string/],
    ['12', /not a number/],
    ['{', /not valid JSON/],
    ['{"userId":}', /not valid JSON/],
    ['ann', /not valid JSON/],
    ['{"a":1,}', /not valid JSON/],
  ])('%.40s is refused', (json, words) => {
    expect(read(json)).toMatchObject({ user: undefined, problems: [expect.stringMatching(words)] });
  });

  test('cannot change the prototype of an object', () => {
    const { user } = read('{"userId":"a","__proto__":"x","constructor":"y"}');
    expect(Object.getPrototypeOf(user)).toBe(Object.prototype);
    expect(Object.keys(user?.extra ?? {})).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('may be nested as deep as a body allows: reading it does not overflow the stack', () => {
    const depth = MAX_BODY_BYTES / 2 - 40;
    const nested = `{"userId":"ann","nick":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(read(nested)).toMatchObject({ userId: 'ann', problems: [] });
  });
});
