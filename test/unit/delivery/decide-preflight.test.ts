import fc from 'fast-check';
import { preflight } from '../../../src/delivery/policy/decide.ts';
import { accountOf } from '../../../src/delivery/policy/pending-user.ts';
import { entryLists, entryOf, pendingUserOf, pendingUsersOf } from './entries.ts';

const long = ['nick'] as const;

it('lets go what the API can take', () => {
  const user = pendingUserOf(entryOf('a', 2), entryOf('a', 1, { nick: 'n' }, long));
  expect(preflight([user], 'import-bare')).toEqual({ users: [user], refused: [] });
});

it('a profile that is too long gives way to the next older event', () => {
  const user = pendingUserOf(entryOf('a', 2, { nick: 'n' }, long), entryOf('a', 1));
  for (const policy of ['import-bare', 'dead-letter'] as const) {
    const { users, refused } = preflight([user], policy);
    expect(users.map((left) => left.events.map(({ eventId }) => eventId))).toEqual([['1-0']]);
    expect(refused).toMatchObject([
      { entry: { eventId: '2-0' }, reason: 'profile', verdict: { errorCode: 40601 } },
    ]);
  }
});

it('the last event goes without its profile, or ends here, as configured', () => {
  const user = pendingUserOf(entryOf('a', 1, { nick: 'n', faceUrl: 'f' }, long));
  const bare = preflight([user], 'import-bare');
  expect(bare.refused).toEqual([]);
  expect(bare.users.map(accountOf)).toEqual([{ userId: 'a', type: 0 }]);
  expect(preflight([user], 'dead-letter')).toMatchObject({ users: [], refused: [{ reason: 'profile' }] });
});

it('keeps every event in one place, and screens a second time without effect', () => {
  fc.assert(
    fc.property(
      entryLists,
      fc.constantFrom('import-bare' as const, 'dead-letter' as const),
      (entries, policy) => {
        const before = pendingUsersOf(entries);
        const { users, refused } = preflight(before, policy);
        const after = [
          ...users.flatMap(({ events }) => events.map(({ eventId }) => eventId)),
          ...refused.map(({ entry }) => entry.eventId),
        ];
        expect(after.sort()).toEqual(entries.map(({ eventId }) => eventId).sort());
        for (const user of users) {
          const { nick, faceUrl } = accountOf(user);
          const [sent] = user.events;
          if (nick !== undefined || faceUrl !== undefined) expect(sent?.tooLong).toEqual([]);
        }
        expect(preflight(users, policy)).toEqual({ users, refused: [] });
      },
    ),
  );
});
