import fc from 'fast-check';
import type { UserCreated } from '../../../src/event/event.ts';
import { parseEntry, toFields } from '../../../src/event/fields.ts';
import { oddId } from '../../../src/event/odd-values.ts';

const rules = { adminId: 'administrator' };

it('writes the given fields and no others', () => {
  expect(toFields({ userId: 'a' })).toEqual(['userId', 'a']);
  expect(toFields({ userId: 'a', nick: '', faceUrl: null, type: 0, extra: {} })).toEqual(['userId', 'a']);
  expect(toFields({ userId: 'a', nick: 'A', type: 1, extra: { tenant: 'blue' } })).toEqual([
    'userId',
    'a',
    'nick',
    'A',
    'type',
    '1',
    'tenant',
    'blue',
  ]);
});

it.each([
  ['2025-04-03T17:08:43Z', '1743700123000'],
  [1_743_700_123_000, '1743700123000'],
  [new Date(1_743_700_123_000), '1743700123000'],
  ['1743700123000', '1743700123000'],
])('writes occurredAt %p in milliseconds', (occurredAt, text) => {
  expect(toFields({ userId: 'a', occurredAt })).toEqual(['userId', 'a', 'occurredAt', text]);
});

it('refuses a known field name in extra', () => {
  expect(() => toFields({ userId: 'a', extra: { userId: 'b' } })).toThrow(RangeError);
});

it('takes the time of the signup in milliseconds under its older name too', () => {
  expect(toFields({ userId: 'a', occurredAtMs: 7 })).toEqual(['userId', 'a', 'occurredAt', '7']);
  expect(toFields({ userId: 'a', occurredAt: 8, occurredAtMs: 7 })).toEqual([
    'userId',
    'a',
    'occurredAt',
    '8',
  ]);
});

it('writes what parseEntry reads', () => {
  const ascii = fc.string({
    minLength: 1,
    maxLength: 32,
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
  });
  const userId = ascii.filter((id) => !id.startsWith('@') && id !== rules.adminId && !oddId(id)?.isCertain);
  const text = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 600 })
    .filter((t) => !t.includes('\uFFFD'));
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const event = fc.record({
    userId,
    nick: optional(text),
    faceUrl: optional(text),
    type: fc.constantFrom<0 | 1>(0, 1),
    replyTo: optional(ascii),
    identifierType: optional(fc.constantFrom<1 | 2 | 3>(1, 2, 3)),
    password: optional(text),
    tally: optional(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)),
  });
  fc.assert(
    fc.property(event, (user: UserCreated) => {
      const fields = toFields({ ...user, occurredAt: 5, extra: { tenant: 'blue', ['__proto__']: 'x' } });
      expect(fields.slice(-4)).toEqual(['tenant', 'blue', '__proto__', 'x']);
      const parsed = parseEntry({ eventId: '1-0', fields }, rules);
      expect(parsed).toMatchObject({ ok: true });
      // toEqual takes an undefined field for an absent one.
      if (parsed.ok) expect(parsed.event).toEqual(user);
    }),
  );
});
