import { TOO_LONG } from '../../../src/delivery/policy/decide.ts';
import type { Refused } from '../../../src/delivery/policy/decision.ts';
import { invalidLetter, refusedLetter } from '../../../src/delivery/policy/letter.ts';
import type { RawEntry } from '../../../src/event/event.ts';
import { parseEntry } from '../../../src/event/fields.ts';
import { pendingUsersOf } from './entries.ts';

const rules = { adminId: 'administrator' };

function entryOf(...fields: string[]): RawEntry {
  return { eventId: '1743700123000-0', fields };
}

/** The letter that the entry would get, as it is stored: by its JSON. */
function stored(raw: RawEntry) {
  const parsed = parseEntry(raw, rules);
  if (!parsed.ok) return JSON.parse(JSON.stringify(invalidLetter(raw, parsed)));
  const [user] = pendingUsersOf([parsed]);
  if (user === undefined) throw new Error('a user was expected');
  const refused: Refused = { user, entry: parsed, reason: 'profile', verdict: TOO_LONG };
  return JSON.parse(JSON.stringify(refusedLetter(raw, refused, 'multiaccount_import', [])));
}

it.each<[string, string[]]>([
  ['plain', ['userId', 'ann', 'nick', 'A 😀 "é"\n\u0000']],
  ['a nick as long as an event may have', ['userId', 'ann', 'nick', 'x'.repeat(65_536)]],
  ['a field with a long name', ['userId', 'ann', 'n'.repeat(1_000), 'v']],
  [
    'very many fields, the user last',
    [...Array.from({ length: 5_000 }, (_, i) => [`f${i}`, '1']).flat(), 'userId', 'ann'],
  ],
  ['a field named __proto__', ['userId', 'ann', '__proto__', 'x']],
  ['a corrected nick', ['userId', 'ann', 'nick', 'Old', 'nick', 'New']],
])('the letter of a valid event holds all that trying it again takes: %s', (_name, fields) => {
  const raw = entryOf(...fields);
  const letter = stored(raw);
  const again = entryOf(...Object.entries(letter.event as Record<string, string>).flat());
  expect(parseEntry(again, rules)).toEqual(parseEntry(raw, rules));
  expect(letter.partial).toBeUndefined();
});

it.each<[string, string[]]>([
  ['two users', ['userId', 'ann', 'userId', 'bob']],
  ['half a field', ['userId', 'ann', 'nick']],
  ['a value that was cut', ['userId', 'ann', 'nick', 'x'.repeat(70_000)]],
  [
    'more than fits',
    ['userId', 'ann', ...Array.from({ length: 20 }, (_, i) => [`f${i}`, 'x'.repeat(60_000)]).flat()],
  ],
])('the letter of an entry that it does not hold whole says so: %s', (_name, fields) => {
  expect(stored(entryOf(...fields))).toMatchObject({ reason: 'invalid', partial: true });
});

it('no letter holds a password', () => {
  const letter = stored(entryOf('userId', 'ann', 'password', 'not-to-be-seen', 'PassWord', 'nor this'));
  expect(JSON.stringify(letter)).not.toMatch(/not-to-be-seen|nor this/);
});

it('stays small whatever came', () => {
  const fields = Array.from({ length: 100 }, (_, i) => [`f${i}`, 'x'.repeat(60_000)]).flat();
  expect(JSON.stringify(stored(entryOf('userId', 'ann', ...fields))).length).toBeLessThan(600_000);
});
