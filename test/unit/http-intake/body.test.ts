import fc from 'fast-check';
import {
  type BodyForm,
  bodyFormOf,
  MAX_USER_BYTES,
  MAX_USERS,
  userTexts,
} from '../../../src/http-intake/body.ts';
import { readUser } from '../../../src/http-intake/user.ts';

const texts = (body: string | Buffer, form: BodyForm = 'json'): string[] =>
  [...userTexts(Buffer.from(body), form)].map(String);
const parsed = (body: string): unknown[] => texts(body).map((text) => JSON.parse(text));

describe('a body', () => {
  const value = fc.jsonValue({ maxDepth: 4 });

  test('that is a list falls into its members, whatever stands in them and between them', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), fc.constantFrom(0, 1, 4), (list, indent) => {
        expect(parsed(JSON.stringify(list, null, indent))).toEqual(JSON.parse(JSON.stringify(list)));
      }),
    );
  });

  test('that is no JSON never passes for a list of users', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(...['[', ']', '{', '}', ',', ':', '"', '\\', '"a"', '1', ' ', '{"a":"]"}']),
          {
            maxLength: 14,
          },
        ),
        (parts) => {
          const body = parts.join('');
          let whole: unknown;
          try {
            whole = JSON.parse(body);
          } catch {
            whole = undefined;
          }
          const isUsable =
            typeof whole === 'object' && whole !== null && (!Array.isArray(whole) || whole.length > 0);
          let usable = true;
          try {
            parsed(body);
          } catch {
            usable = false;
          }
          expect([body, usable]).toEqual([body, isUsable]);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('of lines falls into its lines, blank ones aside', () => {
    expect(texts('\uFEFF{"a":1}\n\n  \r\n{"b":"x"}\r\nbroken', 'ndjson')).toEqual([
      '{"a":1}',
      '{"b":"x"}\r',
      'broken',
    ]);
    expect(texts('\uFEFF {"a":[1,2]} ')).toEqual(['{"a":[1,2]} '.trim()]);
  });

  test.each<[string, BodyForm, RegExp]>([
    ['', 'json', /holds no user/],
    [' [ ] ', 'json', /holds no user/],
    ['\n \n', 'ndjson', /holds no user/],
    ['"text"', 'json', /neither a JSON object nor a JSON list/],
    ['12', 'json', /neither/],
    ['{"a":1}{"b":2}', 'json', /goes on after its JSON/],
    ['[{"a":1}] x', 'json', /goes on after/],
    ['[{"a":1}', 'json', /does not end as it began/],
    ['{"a":"', 'json', /does not end/],
    ['[{"a":1}}', 'json', /does not end as it began/],
    ['['.repeat(1_000), 'json', /nested deeper than 32/],
    [`{"a":${'['.repeat(40)}${']'.repeat(40)}}`, 'json', /nested deeper than 32/],
  ])('%.30s cannot be used', (body, form, words) => {
    expect(() => texts(body, form)).toThrow(words);
  });

  test('of more users than are taken is refused at the one too many', () => {
    const users = (count: number): string => `[${Array(count).fill('{}').join(',')}]`;
    expect(texts(users(MAX_USERS))).toHaveLength(MAX_USERS);
    expect(() => texts(users(MAX_USERS + 1))).toThrow(/more than 10000 users/);
    expect(() => texts('{}\n'.repeat(MAX_USERS + 1), 'ndjson')).toThrow(/more than 10000 users/);
  });
});

test.each<[string | undefined, BodyForm | RegExp]>([
  ['application/json', 'json'],
  ['Application/JSON; charset=UTF-8', 'json'],
  ['application/json;charset="utf-8";x=1', 'json'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/json; charset=gbk', /character set is gbk/],
  ['application/x-www-form-urlencoded', /content type is application\/x-www-form-urlencoded/],
  ['text/plain', /content type is text\/plain/],
  [undefined, /no content type/],
])('the content type %s', (type, expected) => {
  const read = bodyFormOf(type);
  if (expected instanceof RegExp) expect('problem' in read && read.problem).toMatch(expected);
  else expect(read).toEqual({ form: expected });
});

describe('a user of a body', () => {
  const read = (json: string, traceparent?: string) => readUser(Buffer.from(json), traceparent);

  test('is what the producer takes; fields that we do not know travel along', () => {
    expect(read('{"userId":"ann","nick":"Ann","colour":"green","n":1}', '00-aa')).toEqual({
      userId: 'ann',
      user: { userId: 'ann', nick: 'Ann', traceparent: '00-aa', extra: { colour: 'green', n: 1 } },
      problems: [],
      isJson: true,
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
    [`{"userId":"${'x'.repeat(MAX_USER_BYTES)}"}`, /bytes; 524288 is the most/],
  ])('%.40s is none', (json, words) => {
    expect(read(json)).toMatchObject({
      user: undefined,
      problems: [expect.stringMatching(words)],
      isJson: true,
    });
  });

  test('cannot change what an object is', () => {
    const { user } = read('{"userId":"a","__proto__":"x","constructor":"y"}');
    expect(Object.getPrototypeOf(user)).toBe(Object.prototype);
    expect(Object.keys(user?.extra ?? {})).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('that is no JSON says so', () => {
    for (const json of ['{', '{"userId":}', 'ann', '{"a":1,}'])
      expect(read(json)).toMatchObject({ isJson: false });
  });
});
