import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { EventRules } from '../../../src/event/event.ts';
import { parseEntry, toFields } from '../../../src/event/fields.ts';
import { isAllowed, JUNK_WORDS, ODD_ID_KINDS, oddId, oddNick } from '../../../src/event/odd-values.ts';
import { type UserFacts, validateUser } from '../../../src/event/validate.ts';
import { UserCreatedProducer } from '../../../src/producer/producer.ts';

const rules: EventRules = { adminId: 'administrator' };
const problemsOf = (user: UserFacts, own: EventRules = rules) => validateUser(user, own);

describe('a user ID that no app uses', () => {
  it.each<(string | undefined)[]>([
    ...['NULL', 'null', '(null)', 'None', 'nil', '<nil>', 'undefined', 'NaN', '\\N', '#N/A', '#REF!'].map(
      (id) => [id, 'word', 'no value'],
    ),
    ['[object Object]', 'word', "the user's own ID"],
    ['[]', 'word', 'no value'],
    ['userId', 'word', 'no value'],
    ...['(nil)', '#SPILL!', '#ERROR!'].map((id) => [id, 'word', 'no value']),
    ['1,234,567', 'separators', 'the digits alone'],
    ['1,234,567.00', 'separators', 'the digits alone'],
    ["'00123", 'apostrophe', 'leave it out'],
    [`$${'{user.id}'}`, 'template', 'placeholder'],
    ['{{ id }}', 'template', 'placeholder'],
    ['1.23457E+11', 'rounded', 'digits are lost'],
    ['"alice"', 'serialized', 'StringRedisSerializer'],
    ['["alice"]', 'serialized', 'JSON'],
    ['{"id":"alice"}', 'serialized', 'JSON'],
    ['s:3:"bob";', 'serialized', 'Redis::SERIALIZER_NONE'],
    ['i:42;', 'serialized', 'Redis::SERIALIZER_NONE'],
    ['="00123"', 'serialized', 'formula'],
    ["b'alice'", 'serialized', 'decode'],
    ['[]', 'word', 'no value'],
    ['[{"id":1}]', 'serialized', 'JSON'],
    ['<id>', 'template', 'placeholder'],
    ['<userId>', 'template', 'placeholder'],
    ['{user_id}', 'template', 'placeholder'],
    ['\uFFFD\uFFFD\0\x05t\0\x05alice', 'serialized', 'StringRedisTemplate'],
    ['\0\0\0\x02\x11\x05alice', 'serialized', 'igbinary'],
    // Protocols 2 to 5 as UTF-8 decodes them: a byte that is none becomes U+FFFD.
    ...['\x80\x02X\x05', '\x80\x03X\x05', '\x80\x04\x95\x09', '\x80\x05\x95\x09'].map((raw) => [
      Buffer.from(raw, 'latin1').toString(),
      'serialized',
      'pickle',
    ]),
    ['\x04\bI"\nalice', 'serialized', 'Marshal'],
  ])('%j is one of kind %s', (userId = '', kind = '', words) => {
    const odd = oddId(userId);
    if (words === undefined) return expect(odd).toBeUndefined();
    expect(odd).toMatchObject({ kind, isCertain: true, text: expect.stringContaining(words) });
    expect(problemsOf({ userId })).toEqual([odd?.text]);
    expect(parseEntry({ eventId: '1-0', fields: ['userId', userId] }, rules)).toMatchObject({
      ok: false,
      problems: [odd?.text],
    });
  });

  it.each([
    ...['alice', 'Anna_7', 'O`Brien', "o'brien", '00123', '1e5', '1.2.0', '3E8', 'a,b', '1,23', '@RBT#1'],
    ...['nullable', 'NULL1', 'userid7', 'x'.repeat(32), '!#$%&~', 'a"b"', 's:3', '_', '<', '"', ''],
    ...['anna@example.com', 'a.b@cafe', '1.234', '1.234.56', '%50%', '$anna', "b'", '="', '[anna'],
  ])('%j is none', (userId) => {
    expect(oddId(userId)).toBeUndefined();
  });

  it('is valid when it is allowed: by itself, by its kind, all at once, or by its own event', () => {
    for (const allowOddIds of [['None'], ['word'], ['all']]) {
      expect(problemsOf({ userId: 'None' }, { ...rules, allowOddIds })).toEqual([]);
    }
    expect(problemsOf({ userId: 'None' }, { ...rules, allowOddIds: ['null', 'serialized'] })).toHaveLength(1);
    expect(problemsOf({ userId: 'None', allowOddId: 1 })).toEqual([]);
    expect(problemsOf({ userId: 'None', allowOddId: '1' })).toEqual([]);
    expect(problemsOf({ userId: 'None', allowOddId: 'yes' })).toEqual([
      expect.stringContaining('no value'),
      expect.stringContaining('allowOddId must be 1'),
    ]);
  });

  it('is judged by the other rules when it is allowed', () => {
    expect(problemsOf({ userId: '[object Object]', allowOddId: 1 })).toEqual([
      expect.stringContaining('without spaces'),
    ]);
  });

  it('never stands in its message, unless it is a word of the list', () => {
    for (const userId of ['1,234,567', "'00123", `$${'{x}'}`, '1.2E+11', '"alice"', 's:3:"bob";']) {
      expect(oddId(userId)?.text).not.toContain(userId);
    }
  });
});

it.each([
  ['Null', 'word'],
  ['false', 'word'],
  ['0', 'word'],
  ['123.0', 'decimals'],
  ...['id', 'UserId', 'Array', 'Infinity', '-', '--', '(none)', 'user:null', 'NULL,', '%!s(<nil>)'].map(
    (id) => [id, 'word'],
  ),
  ...['[B@1b6d3586', 'java.lang.Object@1b6d3586', 'Optional("x")', 'Some("bob")', 'ObjectId("507f")'].map(
    (id) => [id, 'serialized'],
  ),
  ...['[x]', '[anna]'].map((id) => [id, 'serialized']),
  ...['#{id}', '%{id}', '<%=id%>', '$(id)', '$id', '%USER_ID%', '&lt;id&gt;', '{{{id}}}'].map((id) => [
    id,
    'template',
  ]),
  ...['{42}', '{3f2a}', '<anna>'].map((id) => [id, 'template']),
  ...['user_undefined', 'user-null', 'u:None', 'ID', 'USER_ID', 'NA', '%v', '#WERT!'].map((id) => [
    id,
    'word',
  ]),
  ...['"alice', 'alice"'].map((id) => [id, 'serialized']),
  ...['12,34,567', 'alice,', 'alice;'].map((id) => [id, 'separators']),
  ...["'bob", "'tis"].map((id) => [id, 'apostrophe']),
  ...['1.234.567', "1'234'567"].map((id) => [id, 'separators']),
])('the user ID %s is doubtful: valid, and counted', (userId, kind) => {
  const odd = oddId(userId);
  expect(odd).toMatchObject({ kind, isCertain: false });
  expect(odd && isAllowed(userId, odd, [])).toBe(true);
  expect(parseEntry({ eventId: '1-0', fields: ['userId', userId] }, rules)).toMatchObject({
    ok: true,
    odd: `id-${kind}`,
  });
});

it.each([
  ['NULL', 'word'],
  ['undefined', 'word'],
  ['"Ann"', 'serialized'],
  ['s:3:"Ann";', 'serialized'],
  ['="Ann"', 'serialized'],
  ['A\0nn', 'control'],
  ['A\x85nn', 'control'],
])('the nick %j is odd, and costs nobody an account', (nick, kind) => {
  expect(oddNick(nick)).toBe(kind);
  const entry = parseEntry({ eventId: '1-0', fields: ['userId', 'ann', 'nick', nick] }, rules);
  expect(entry).toMatchObject({ ok: true, odd: `nick-${kind}` });
});

it('an event that its sender allows carries the mark, so that workers take it too', () => {
  expect(toFields({ userId: 'None', nick: 'x' })).toEqual(['userId', 'None', 'nick', 'x', 'allowOddId', '1']);
  expect(toFields({ userId: 'ann' })).toEqual(['userId', 'ann']);
  expect(toFields({ userId: 'Null' })).toEqual(['userId', 'Null']);
});

it('a producer refuses allowOddIds that is no list', () => {
  const options = { sdkAppId: 1, allowOddIds: 'all' as unknown as string[] };
  expect(() => new UserCreatedProducer(options)).toThrow("such as ['all']");
});

it.each(['Ann', 'Null', 'A\tnn\n', '小明 🎈', 'Ann "the one"', 'Ann;', '[Ann', ''])(
  'the nick %j is not',
  (nick) => {
    expect(oddNick(nick)).toBeUndefined();
  },
);

it('tells an entry without a userId which of its fields may be the one', () => {
  const missing = (...fields: string[]) => {
    const entry = parseEntry({ eventId: '1-0', fields }, rules);
    return entry.ok ? '' : entry.problems.join('; ');
  };
  expect(missing('"userId"', '"alice"')).toMatch(/userId is missing.*"\\"userId\\"".*JSON serializer/);
  expect(missing('user_id', 'alice')).toMatch(/userId is missing.*"user_id", which must be written userId/);
  expect(missing('nick', 'Ann')).toBe('userId is missing');
});

it('takes time in proportion to the length of a hostile text', () => {
  const long = 65_000;
  for (const text of [
    `s:1:"${'";'.repeat(long)}x`,
    `"${'"'.repeat(long)}`,
    `1${',111'.repeat(long)}x`,
    '{'.repeat(long),
    `${'a.'.repeat(long)}@`,
    `${'['.repeat(long)}A`,
    `<%${'='.repeat(long)}`,
    `Some(${'('.repeat(long)}`,
    `1${'.234'.repeat(long)}x`,
  ]) {
    const startedMs = performance.now();
    oddId(text);
    oddNick(text);
    // A pattern that looks back would take minutes.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  }
});

it('has an answer for every text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const kind = oddId(text)?.kind;
      if (kind !== undefined) expect(ODD_ID_KINDS).toContain(kind);
    }),
  );
});

it.each(['docs/produce.md', 'docs/zh-CN/produce.md'])('%s lists the words and the kinds', (page) => {
  const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
  // Errors of cells stand there by the first of them.
  for (const word of JUNK_WORDS.filter((one) => !/^#.*[!?]$/.test(one)))
    expect(text).toContain(`\`${word}\``);
  for (const kind of ODD_ID_KINDS) expect(text).toMatch(new RegExp(`\`(id-)?${kind}\``));
});
