import fc from 'fast-check';
import {
  type ApiRequest,
  accountOf,
  FIRST_CALL,
  hasProfile,
  newestOf,
  requestsOf,
  slotClassOf,
} from '../../../src/delivery/policy/pending-user.ts';
import { commands, entryLists, entryOf, pendingUserOf, pendingUsersOf, verdictFor } from './entries.ts';

it('sends the newest event of each user, and keeps the older ones behind it', () => {
  const users = pendingUsersOf([entryOf('a', 1), entryOf('b', 2), entryOf('a', 10), entryOf('a', 9)]);
  expect(users.map(({ userId }) => userId)).toEqual(['a', 'b']);
  expect(users[0]?.events.map(({ eventId }) => eventId)).toEqual(['10-0', '9-0', '1-0']);
  expect(users.map((user) => newestOf(user).eventId)).toEqual(['10-0', '2-0']);
});

it('leaves the profile out of a bare account', () => {
  const user = pendingUserOf(entryOf('a', 1, { nick: 'n', faceUrl: 'f', type: 1, password: 'p' }));
  expect(accountOf(user)).toMatchObject({ userId: 'a', nick: 'n', faceUrl: 'f', type: 1 });
  expect(hasProfile(user)).toBe(true);
  const bare = { ...user, bare: verdictFor(40005) };
  expect(accountOf(bare)).toEqual({ userId: 'a', type: 1 });
  expect(hasProfile(bare)).toBe(false);
  expect(hasProfile(pendingUserOf(entryOf('a', 1, {})))).toBe(false);
});

it('a user without an event is a bug that says so', () => {
  expect(() => newestOf({ ...pendingUserOf(entryOf('a', 1)), events: [] })).toThrow(
    /no event is left of a user/,
  );
});

it('in the current form everybody goes together', () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      const users = pendingUsersOf(entries);
      expect(requestsOf(users, commands, FIRST_CALL)).toEqual([
        { command: commands.batch, users, ...FIRST_CALL },
      ]);
    }),
  );
});

it('in the old form every user is in exactly one request: robots and profiles alone, the others together', () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      const users = pendingUsersOf(entries);
      const requests = requestsOf(users, { ...commands, form: 'legacy' }, FIRST_CALL);
      const ids = requests.flatMap((request) => request.users.map(({ userId }) => userId));
      expect(ids.sort()).toEqual(users.map(({ userId }) => userId).sort());
      for (const { command, users: members, first } of requests) {
        expect(first).toBe(true);
        const apart = members.filter((user) => newestOf(user).event.type === 1 || hasProfile(user));
        if (command === 'account_import') expect([members.length, apart.length]).toEqual([1, 1]);
        else expect(apart).toEqual([]);
      }
    }),
  );
});

it('a record of the single command is worked off one by one', () => {
  const users = pendingUsersOf([entryOf('a', 1), entryOf('b', 2)]);
  const requests = requestsOf(users, { ...commands, batch: 'account_import' }, FIRST_CALL);
  expect(requests.map((request) => [request.command, request.users.length])).toEqual([
    ['account_import', 1],
    ['account_import', 1],
  ]);
});

it('in the old form profiles go alone, since the batch call holds bare IDs', () => {
  const users = pendingUsersOf([
    entryOf('a', 1),
    entryOf('b', 2, {}),
    entryOf('c', 3, { faceUrl: 'f' }),
    entryOf('d', 4, {}),
  ]);
  const old = requestsOf(users, { ...commands, form: 'legacy' }, FIRST_CALL);
  expect(old.map(({ command, users: members }) => [command, members.map(({ userId }) => userId)])).toEqual([
    ['multiaccount_import', ['b', 'd']],
    ['account_import', ['a']],
    ['account_import', ['c']],
  ]);
});

it('in hosted mode everybody goes alone', () => {
  const hosted = { form: 'hosted', batch: 'register_account_v1', single: 'register_account_v1' } as const;
  const requests = requestsOf(pendingUsersOf([entryOf('a', 1), entryOf('b', 2)]), hosted, FIRST_CALL);
  expect(requests.map(({ command, users }) => [command, users.length])).toEqual([
    ['register_account_v1', 1],
    ['register_account_v1', 1],
  ]);
});

describe('the slot class of a request', () => {
  const user = pendingUserOf(entryOf('a', 1));
  const suspicion = {
    since: 1,
    failures: 1,
    errorCode: 0,
    httpStatus: 403,
    errorInfo: '',
    hasAccount: false,
  };
  const classOf = (more: Partial<ApiRequest>, tries = 0, slotClass: 'live' | 'redrive' = 'live') =>
    slotClassOf({ command: 'account_import', users: [user], ...FIRST_CALL, ...more }, { slotClass, tries });

  it('is that of the record at first, then that of what it is', () => {
    expect(classOf({})).toBe('live');
    expect(classOf({ failures: 1 })).toBe('retry');
    expect(classOf({}, 1)).toBe('retry');
    expect(classOf({ first: false })).toBe('split');
    expect(classOf({}, 1, 'redrive')).toBe('redrive');
  });

  it('is the last one for a suspect, who must not be the probe of a hold before those who may pass', () => {
    const users = [{ ...user, suspicion }];
    for (const first of [true, false]) expect(classOf({ users, first })).toBe('redrive');
    expect(classOf({ users: [...users, user] })).toBe('live');
  });
});
