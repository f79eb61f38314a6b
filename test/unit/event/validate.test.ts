import fc from 'fast-check';
import type { EventRules } from '../../../src/event/event.ts';
import { type UserFacts, validateUser } from '../../../src/event/validate.ts';

const rules = { adminId: 'administrator' };
const about = (user: UserFacts) => validateUser(user, rules).join('; ');

describe('userId', () => {
  it.each(['a', 'x'.repeat(32), 'Anna_7-b', '!#$%&~', '@RBT', '@tgs#a'])('%s is valid', (userId) => {
    expect(about({ userId })).toBe('');
  });

  it.each([
    [undefined, 'is missing'],
    ['', 'is missing'],
    [1_234_567_890, 'not a number: write it in quotes'],
    [true, 'a string, not a boolean'],
    [{}, 'a string, not an object'],
    [['a'], 'a string, not a list'],
    ['x'.repeat(33), '33 bytes long'],
    ['用户'.repeat(6), '36 bytes long'],
    ['小明', 'printable ASCII'],
    ['a b', 'without spaces'],
    ['a\n', 'printable ASCII'],
    ['a\uD800', 'well-formed'],
    ['a\uFFFD', 'well-formed'],
    ['@TGS#1', 'begins with @TGS#'],
    ['@TLS#1', 'begins with @TLS#'],
    ['@TIM#1', 'begins with @TIM#'],
    ['@TOA#1', 'begins with @TOA#'],
    ['@RBT#1', 'type must be 1'],
    ['administrator', 'admin'],
  ])('%p is refused', (userId, words) => {
    expect(about({ userId })).toContain(words);
  });

  it('is refused as a UUID with dashes, with the advice to leave them out', () => {
    const userId = '123e4567-e89b-12d3-a456-426614174000';
    expect(about({ userId })).toMatch(/^userId is a UUID with dashes \(36 bytes\).*leave the dashes out/);
    expect(about({ userId: userId.replaceAll('-', '') })).toBe('');
  });

  it('may begin with @RBT# if it is a robot', () => {
    expect(about({ userId: '@RBT#1', type: 1 })).toBe('');
    expect(about({ userId: '@RBT#1', type: '1' })).toBe('');
  });
});

describe('a robot', () => {
  const inForm = (form: EventRules['form'], user: UserFacts) => validateUser(user, { ...rules, form });

  it.each(['legacy', undefined] as const)('passes in the form %s', (form) => {
    expect(inForm(form, { userId: 'bot', type: '1' })).toEqual([]);
    expect(inForm(form, { userId: '@RBT#1', type: 1 })).toEqual([]);
    expect(inForm(form, { userId: '@RBT#1' })).toEqual([expect.stringContaining('type must be 1')]);
  });

  it('is refused in the current form, once, with advice', () => {
    const wayOut = /no Type.*IMSYNC_API=legacy.*Identifier and Type.*own call for robots/;
    for (const type of [1, '1'])
      for (const userId of ['bot', '@RBT#1'])
        expect(inForm('current', { userId, type })).toEqual([
          expect.stringMatching(
            /^type 1 asks for a robot, but the current form of account_import has no Type/,
          ),
        ]);
    expect(inForm('current', { userId: 'bot', type: 1 })[0]).toMatch(wayOut);
    const [prefix, ...more] = inForm('current', { userId: '@RBT#1' });
    expect(prefix).toMatch(/^userId begins with @RBT#, which is for robots, but/);
    expect(prefix).toMatch(wayOut);
    // Not what would be refused next.
    expect(prefix).not.toContain('type must be 1');
    expect(more).toEqual([]);
    for (const type of [0, '0', '', undefined])
      expect(inForm('current', { userId: 'bot', type })).toEqual([]);
  });

  it('is refused in hosted mode, whose call has no Type either', () => {
    const user = { userId: 'testaccount1', identifierType: 3, password: 'pas122333' };
    expect(inForm('hosted', { ...user, type: 0 })).toEqual([]);
    expect(inForm('hosted', { ...user, type: 1 })).toEqual([
      expect.stringMatching(/register_account_v1 has no Type.*own call for robots/),
    ]);
  });
});

describe('the other fields', () => {
  it.each<[UserFacts, string]>([
    [{ nick: 7 }, 'nick must be a string'],
    [{ faceUrl: 'a\uDC00' }, 'faceUrl is not well-formed'],
    [{ type: 2 }, 'type must be 0'],
    [{ type: 'robot' }, 'type must be 0'],
    [{ type: true }, 'type must be 0'],
    [{ occurredAt: '2025-02-30T00:00:00Z' }, 'occurredAt must be'],
    [{ occurredAt: new Date(Number.NaN) }, 'occurredAt must be'],
    [{ occurredAt: -1 }, 'occurredAt must be'],
    [{ replyTo: 'two words' }, 'replyTo must be'],
    [{ replyTo: 'x'.repeat(201) }, 'replyTo must be'],
    [{ traceparent: 1 }, 'traceparent must be a string'],
    [{ identifierType: 4 }, 'identifierType must be'],
    [{ password: 12345678 }, 'password must be a string'],
    [{ extra: 'x' }, 'extra must be an object'],
    [{ extra: { a: 1 } }, '"a" must be a string'],
    [{ extra: { nick: 'x' } }, 'must not hold nick'],
  ])('%j: %s', (facts, words) => {
    expect(about({ userId: 'a', ...facts })).toContain(words);
  });

  it('may be undefined, null or empty', () => {
    expect(
      about({ userId: 'a', nick: null, faceUrl: '', type: undefined, occurredAt: '', extra: null }),
    ).toBe('');
  });

  it('report all their problems at once', () => {
    expect(validateUser({ userId: 5, nick: 5, type: 5, occurredAt: 'x' }, rules)).toHaveLength(4);
  });
});

describe('hosted mode', () => {
  const hosted = { ...rules, form: 'hosted' } as const;
  const user = { userId: 'testaccount1', identifierType: 3, password: 'pas122333' };

  it('takes the documented example', () => {
    expect(validateUser(user, hosted)).toEqual([]);
    expect(validateUser({ ...user, userId: '86-13800138000', identifierType: '1' }, hosted)).toEqual([]);
    expect(validateUser({ ...user, userId: 'a@b.example', identifierType: 2 }, hosted)).toEqual([]);
  });

  it.each<[UserFacts, string]>([
    [{ userId: 'abc' }, '4 to 24'],
    [{ userId: 'x'.repeat(25) }, '4 to 24'],
    [{ userId: '12345' }, 'not digits alone'],
    [{ userId: 'a-b-c' }, 'letters, digits'],
    [{ identifierType: 1 }, 'phone number'],
    [{ identifierType: 2 }, 'e-mail'],
    [{ identifierType: undefined }, 'identifierType must be'],
    [{ password: undefined }, 'password is missing'],
    [{ password: 'short' }, '8 to 16'],
    [{ password: 'x'.repeat(17) }, '8 to 16'],
  ])('refuses %j', (facts, words) => {
    const text = validateUser({ ...user, ...facts }, hosted).join('; ');
    expect(text).toContain(words);
    expect(text).not.toContain(String(facts.password ?? 'pas122333'));
  });
});

it('never throws for any value', () => {
  const anything = fc.anything({
    withNullPrototype: true,
    withBigInt: true,
    withDate: true,
    withSparseArray: true,
  });
  const names = ['userId', 'nick', 'type', 'occurredAt', 'replyTo', 'identifierType', 'password', 'extra'];
  const facts = fc.record(Object.fromEntries(names.map((name) => [name, anything])), { requiredKeys: [] });
  fc.assert(
    fc.property(
      facts,
      fc.constantFrom<EventRules['form']>(undefined, 'current', 'legacy', 'hosted'),
      (user, form) => {
        for (const text of validateUser(user, { ...rules, form })) expect(typeof text).toBe('string');
      },
    ),
  );
});
