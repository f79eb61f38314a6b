import fc from 'fast-check';
import type { EventRules, ParsedEntry, RawEntry, ValidEntry } from '../../../src/event/event.ts';
import { parseEntry } from '../../../src/event/fields.ts';

const rules = { adminId: 'administrator' };

function parse(...fields: string[]): ParsedEntry {
  return parseEntry({ eventId: '5-0', fields }, rules);
}

function valid(...fields: string[]): ValidEntry {
  const entry = parse(...fields);
  if (!entry.ok) throw new Error(entry.problems.join('; '));
  return entry;
}

function problems(...fields: string[]): string {
  const entry = parse(...fields);
  return entry.ok ? '' : entry.problems.join('; ');
}

describe('a valid entry', () => {
  it('needs only a user ID', () => {
    expect(parse('userId', 'anna')).toEqual({
      ok: true,
      eventId: '5-0',
      event: { userId: 'anna', type: 0 },
      tooLong: [],
    });
  });

  it('has the known fields, and unknown ones do no harm', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { event } = valid(
      ...['userId', '@RBT#1', 'nick', '小明 🎈', 'faceUrl', 'https://a/b.png', 'type', '1'],
      ...['occurredAt', '2025-04-03T17:08:43Z', 'replyTo', 'replies:7', 'traceparent', traceparent],
      ...['identifierType', '3', 'password', 'pas122333', 'tenant', 'blue', '__proto__', 'x'],
    );
    expect(event).toMatchObject({
      userId: '@RBT#1',
      nick: '小明 🎈',
      faceUrl: 'https://a/b.png',
      type: 1,
      replyTo: 'replies:7',
      identifierType: 3,
      password: 'pas122333',
    });
  });

  it('takes an empty optional field as absent', () => {
    const { event } = valid(
      'userId',
      'a',
      'nick',
      '',
      'faceUrl',
      '',
      'type',
      '',
      'occurredAt',
      '',
      'replyTo',
      '',
    );
    expect(event).toEqual({ userId: 'a', type: 0 });
  });

  it('takes the last of a repeated field', () => {
    expect(valid('userId', 'a', 'nick', 'old', 'nick', 'new', 'userId', 'a').event.nick).toBe('new');
  });

  it.each([
    [500, []],
    [501, ['nick']],
    [65_536, ['nick']],
  ])('with a nick of %i bytes names as too long: %j', (bytes, tooLong) => {
    expect(valid('userId', 'a', 'nick', 'n'.repeat(bytes)).tooLong).toEqual(tooLong);
  });

  it('counts bytes, not characters', () => {
    expect(valid('userId', 'a', 'nick', '明'.repeat(166), 'faceUrl', '明'.repeat(167)).tooLong).toEqual([
      'faceUrl',
    ]);
  });
});

describe('an invalid entry', () => {
  it('names all problems and the given user ID', () => {
    const entry = parse('userId', 'two words', 'type', '2', 'occurredAt', 'yesterday', 'nick', 'a\uFFFDb');
    expect(entry).toMatchObject({ ok: false, eventId: '5-0', userId: 'two words' });
    expect(entry.ok ? [] : entry.problems).toHaveLength(4);
  });

  it('is one without a user ID', () => {
    expect(parse('nick', 'x')).toMatchObject({ ok: false, userId: '', problems: ['userId is missing'] });
  });

  it('is one with a field without a value', () => {
    expect(problems('userId', 'a', 'nick')).toBe('the entry has a field without a value');
  });

  it('is one with two different user IDs', () => {
    expect(problems('userId', 'a', 'userId', 'b')).toContain('given twice');
  });

  it('is one with fields above the limits', () => {
    expect(problems('userId', 'a', 'nick', 'n'.repeat(65_537))).toContain('65537 bytes');
    expect(problems('userId', 'a', 'x', 'n'.repeat(65_536))).toContain('further fields');
  });

  it('shows at most 200 characters of its user ID and no half character', () => {
    const entry = parse('userId', `${'x'.repeat(199)}🎈`);
    expect(entry).toMatchObject({ ok: false, userId: 'x'.repeat(199) });
  });
});

it('never throws; the result always has a user or a problem', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'userId',
      'nick',
      'faceUrl',
      'type',
      'occurredAt',
      'replyTo',
      'password',
      '__proto__',
      '',
    ),
    fc.string({ unit: 'binary' }),
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a', '1', '\uD800', '\uFFFD', '@RBT#x'),
  );
  const fields = fc.array(fc.oneof(name, value), { maxLength: 24 });
  fc.assert(
    fc.property(
      fields,
      fc.constantFrom<EventRules['form']>(undefined, 'current', 'legacy', 'hosted'),
      (flat, form) => {
        const entry: RawEntry = { eventId: '1-1', fields: flat };
        const parsed = parseEntry(entry, { ...rules, form });
        if (parsed.ok) expect(Buffer.byteLength(parsed.event.userId)).toBeLessThanOrEqual(32);
        else expect(parsed.problems.length).toBeGreaterThan(0);
      },
    ),
  );
});
