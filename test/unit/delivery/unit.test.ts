import fc from 'fast-check';
import {
  accountOf,
  candidateOf,
  FIRST_CALL,
  groupsOf,
  hasProfile,
} from '../../../src/delivery/policy/pending-user.ts';
import { commands, entryLists, entryOf, unitOf, unitsOf, verdictFor } from './entries.ts';

it('sends the newest event of each user, and keeps the older ones behind it', () => {
  const units = unitsOf([entryOf('a', 1), entryOf('b', 2), entryOf('a', 10), entryOf('a', 9)]);
  expect(units.map(({ userId }) => userId)).toEqual(['a', 'b']);
  expect(units[0]?.candidates.map(({ eventId }) => eventId)).toEqual(['10-0', '9-0', '1-0']);
  expect(units.map((unit) => candidateOf(unit).eventId)).toEqual(['10-0', '2-0']);
});

it('leaves the profile out of a bare account', () => {
  const unit = unitOf(entryOf('a', 1, { nick: 'n', faceUrl: 'f', type: 1, password: 'p' }));
  expect(accountOf(unit)).toMatchObject({ userId: 'a', nick: 'n', faceUrl: 'f', type: 1 });
  expect(hasProfile(unit)).toBe(true);
  const bare = { ...unit, bare: verdictFor(40005) };
  expect(accountOf(bare)).toEqual({ userId: 'a', type: 1 });
  expect(hasProfile(bare)).toBe(false);
  expect(hasProfile(unitOf(entryOf('a', 1, {})))).toBe(false);
});

it('a unit without an event is a bug that says so', () => {
  expect(() => candidateOf({ ...unitOf(entryOf('a', 1)), candidates: [] })).toThrow(
    /no event is left of a user/,
  );
});

it('in the current form everybody goes together', () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      const units = unitsOf(entries);
      expect(groupsOf(units, commands, FIRST_CALL)).toEqual([
        { command: commands.batch, units, ...FIRST_CALL },
      ]);
    }),
  );
});

it('in the old form every user is in exactly one group: robots and profiles alone, the others together', () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      const units = unitsOf(entries);
      const groups = groupsOf(units, { ...commands, form: 'legacy' }, FIRST_CALL);
      const users = groups.flatMap((group) => group.units.map(({ userId }) => userId));
      expect(users.sort()).toEqual(units.map(({ userId }) => userId).sort());
      for (const { command, units: members, first } of groups) {
        expect(first).toBe(true);
        const apart = members.filter((unit) => candidateOf(unit).event.type === 1 || hasProfile(unit));
        if (command === 'account_import') expect([members.length, apart.length]).toEqual([1, 1]);
        else expect(apart).toEqual([]);
      }
    }),
  );
});

it('a record of the single command is worked off one by one', () => {
  const units = unitsOf([entryOf('a', 1), entryOf('b', 2)]);
  const groups = groupsOf(units, { ...commands, batch: 'account_import' }, FIRST_CALL);
  expect(groups.map((group) => [group.command, group.units.length])).toEqual([
    ['account_import', 1],
    ['account_import', 1],
  ]);
});

it('in the old form profiles go alone, since the batch call holds bare IDs', () => {
  const units = unitsOf([
    entryOf('a', 1),
    entryOf('b', 2, {}),
    entryOf('c', 3, { faceUrl: 'f' }),
    entryOf('d', 4, {}),
  ]);
  const old = groupsOf(units, { ...commands, form: 'legacy' }, FIRST_CALL);
  expect(old.map(({ command, units: members }) => [command, members.map(({ userId }) => userId)])).toEqual([
    ['multiaccount_import', ['b', 'd']],
    ['account_import', ['a']],
    ['account_import', ['c']],
  ]);
});

it('in hosted mode everybody goes alone', () => {
  const hosted = { form: 'hosted', batch: 'register_account_v1', single: 'register_account_v1' } as const;
  const groups = groupsOf(unitsOf([entryOf('a', 1), entryOf('b', 2)]), hosted, FIRST_CALL);
  expect(groups.map(({ command, units }) => [command, units.length])).toEqual([
    ['register_account_v1', 1],
    ['register_account_v1', 1],
  ]);
});
