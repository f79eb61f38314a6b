import fc from 'fast-check';
import { type ApiRequest, everybodyIn, FIRST_CALL } from '../../../src/delivery/policy/pending-user.ts';
import { canaryOf, partsOf, released } from '../../../src/delivery/policy/split.ts';
import { commands, entryOf, pendingUserOf } from './entries.ts';

function batchOf(count: number): ApiRequest {
  const users = Array.from({ length: count }, (_, n) => pendingUserOf(entryOf(`u${n}`, n, { nick: 'nick' })));
  return { ...FIRST_CALL, command: 'multiaccount_import', users };
}

const idsOf = (request: ApiRequest): string[] => everybodyIn(request).map(({ userId }) => userId);

/** Splits until each culprit has an answer of their own. `rounds`: calls one after the other. */
function play(whole: ApiRequest, isCulprit: (userId: string) => boolean) {
  let open = partsOf(whole, commands, 1, 1);
  let calls = 0;
  let rounds = 0;
  const found: string[] = [];
  while (open.length > 0) {
    rounds += 1;
    calls += open.length;
    const failed = open.filter((part) => idsOf(part).some(isCulprit));
    found.push(...failed.filter(({ users }) => users.length === 1).flatMap(idsOf));
    open = failed.filter(({ users }) => users.length > 1).flatMap((part) => partsOf(part, commands, 1, 1));
  }
  return { calls, rounds, found };
}

it('finds any culprits of a hundred in three rounds, 14 calls each at most, 130 in all', () => {
  const whole = batchOf(100);
  for (const id of idsOf(whole)) {
    expect(play(whole, (userId) => userId === id)).toEqual({ calls: 14, rounds: 3, found: [id] });
  }
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(99), { minLength: 1 }), (users) => {
      const culprits = new Set(users.map((n) => `u${n}`));
      const { calls, rounds, found } = play(whole, (userId) => culprits.has(userId));
      expect(found.sort()).toEqual([...culprits].sort());
      expect(rounds).toBe(3);
      expect(calls).toBeLessThanOrEqual(Math.min(130, 14 * culprits.size));
    }),
  );
});

it('every user of a call stands in one part, which is smaller, and alone in a single call', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 100 }), (count) => {
      const whole = batchOf(count);
      const parts = partsOf(whole, commands, 1, 7);
      expect(parts.flatMap(idsOf)).toEqual(idsOf(whole));
      for (const { users, command, first } of parts) {
        expect(users.length).toBeLessThan(count);
        expect(first).toBe(false);
        expect(command === 'account_import').toBe(users.length === 1);
      }
    }),
  );
});

it('sends one user ahead, another one each time, and the others behind it', () => {
  const whole = batchOf(3);
  const first = canaryOf(whole, commands);
  expect([first.command, idsOf(first)]).toEqual(['account_import', ['u0', 'u1', 'u2']]);
  expect(first.users).toHaveLength(1);
  const second = canaryOf(first, commands);
  expect(idsOf(second)).toEqual(['u1', 'u2', 'u0']);
  expect(released(second, commands)).toMatchObject([
    { command: 'multiaccount_import', users: [{ userId: 'u2' }, { userId: 'u0' }], first: true },
  ]);
  expect(released(canaryOf(batchOf(2), commands), commands)).toMatchObject([{ command: 'account_import' }]);
  const alone = batchOf(1);
  expect(canaryOf(alone, commands)).toBe(alone);
});
