import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { callOf, user, useStages } from './stage.ts';

const fresh = useStages();

test('a letter holds every attempt for its user: the shared calls, the check that succeeded, and the single one', async () => {
  const { redis, keys, add, cut } = fresh();
  const { run } = createCallDriver(redis, keys, async (command, accounts) =>
    command === 'account_import'
      ? apiAnswer(70402)
      : apiAnswer(
          0,
          accounts.map(({ UserID }) => UserID),
        ),
  );
  await add(user('ann'), user('bob'));
  await run(callOf(await cut()).callId);
  const attempts: Record<string, unknown> = {};
  for await (const { userId, attempts: tried } of listDeadLetters({ redis, keys }, { state: 'dead' }))
    attempts[userId] = tried.map(({ command, errorCode }) => [command, errorCode]);
  const expected = [
    ['multiaccount_import', 0],
    ['multiaccount_import', 0],
    ['account_check', 0],
    ['account_import', 70402],
  ];
  expect(attempts).toEqual({ ann: expected, bob: expected });
});
