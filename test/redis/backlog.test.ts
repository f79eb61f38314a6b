import { createHoldState } from '../../src/hold/hold-state.ts';
import { readBacklog } from '../../src/tasks/backfill/backlog.ts';
import { callsOf, oldForm, user, users, useStages } from './stage.ts';

const fresh = useStages();

test('the backlog before an event counts waiting entries, and calls that wait for their slot', async () => {
  const { redis, keys, add, cut, take } = fresh();
  expect(await readBacklog({ redis, keys })).toEqual({
    waiting: 0,
    calls: {},
    started: {},
    isHeld: false,
    isPaused: false,
  });
  await add(user('robot', 'type', '1'), ...users(5));
  const [alone, together] = callsOf(await cut(oldForm));
  await add(...users(2, 'later'));
  expect(await readBacklog({ redis, keys })).toMatchObject({
    waiting: 2,
    calls: { account_import: 1, multiaccount_import: 1 },
  });
  // A run has claimed it and waits for a slot: it still counts.
  await take(together?.callId ?? '', 'r');
  expect((await readBacklog({ redis, keys })).calls.multiaccount_import).toBe(1);
  // One call is on the wire, and one is to be retried later.
  await redis.hset(keys.callPrefix + together?.callId, 'sentAt', '1');
  await redis.hset(keys.callPrefix + alone?.callId, 'dueAt', String(Date.now() + 60_000));
  expect((await readBacklog({ redis, keys })).calls).toEqual({});
});

test('the backlog counts events that came back from parking, and reports hold and pause', async () => {
  const { redis, keys } = fresh();
  await redis.rpush(keys.returned, '["1-1","userId","a"]');
  const hold = createHoldState(redis, keys);
  await hold.pause('a test', 1);
  expect(await readBacklog({ redis, keys })).toMatchObject({ waiting: 1, isHeld: false, isPaused: true });
  await hold.resume();
  await hold.blocked(
    { epoch: '2', probe: false },
    { errorCode: 60006, errorInfo: '', kind: 'configuration' },
  );
  expect(await readBacklog({ redis, keys })).toMatchObject({ isHeld: true, isPaused: false });
});

test('the backlog counts calls started in the last second, for the commands asked about, without slots ahead', async () => {
  const { redis, keys } = fresh();
  const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
  const now = seconds * 1e6 + micros;
  const started = `${keys.startedPrefix}multiaccount_import`;
  for (const [at, inMicros] of [-5_000_000, -300_000, -1_000, 60_000_000].entries())
    await redis.zadd(started, String(now + inMicros), String(at));
  expect((await readBacklog({ redis, keys }, ['multiaccount_import', 'account_import'])).started).toEqual({
    multiaccount_import: 2,
    account_import: 0,
  });
});
