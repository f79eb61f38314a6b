import { userText } from '../../src/cli/user/user.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import type { Presence } from '../../src/tasks/check-users.ts';
import { findUser, type UserReport } from '../../src/tasks/find-user.ts';
import { type Fate, settlementBy } from './settlements.ts';
import { callOf, type Stage, user, users, useStages } from './stage.ts';

const newStage = useStages();
const asked: string[] = [];

function find(
  { redis, keys }: Stage,
  userId: string,
  says: Presence | Error = { kind: 'missing' },
): Promise<UserReport> {
  asked.length = 0;
  const askApi = async (id: string): Promise<Presence> => {
    asked.push(id);
    if (says instanceof Error) throw says;
    return says;
  };
  return findUser({ redis, keys, userId, askApi });
}

async function settle(stage: Stage, callId: string, fate: Fate, dueAtMs = 0): Promise<void> {
  const record = await stage.take(callId, `r-${callId}`);
  const settlement = settlementBy(record, () => fate, dueAtMs);
  await settleRecord(stage.redis, stage.keys, callId, `r-${callId}`, settlement);
}

test('finds a user in the stream, in a call, in its retry, parked and at the front of the intake', async () => {
  const stage = newStage();
  const [first, second] = await stage.add(user('ann', 'nick', 'Ann'), user('ann'), user('bob'));
  const inStream = await find(stage, 'ann');
  expect(inStream).toMatchObject({
    state: 'waiting',
    hasAccount: null,
    stopped: null,
    call: null,
    waiting: [
      { eventId: first, place: 'stream' },
      { eventId: second, place: 'stream' },
    ],
    letters: [],
    api: null,
    unchecked: [],
  });
  expect(asked).toEqual([]);

  const { callId } = callOf(await stage.cut());
  const parked = await stage.add(user('ann'), user('annie'));
  expect(await find(stage, 'ann')).toMatchObject({ state: 'in-call', waiting: [{ eventId: parked[0] }] });
  const second2 = callOf(await stage.cut());
  expect(await find(stage, 'ann')).toMatchObject({
    state: 'in-call',
    call: {
      callId,
      redrive: false,
      eventIds: [first, second],
      users: 2,
      tries: 0,
      sentAt: null,
      nextAt: null,
    },
    parked: { count: 1, eventIds: [parked[0]] },
    waiting: [],
  });

  const dueAtMs = Date.now() + 50_000;
  await settle(stage, callId, 'stay', dueAtMs);
  await stage.redis.hset(
    stage.keys.callPrefix + callId,
    'attempts',
    JSON.stringify([
      { at: 5, command: 'multiaccount_import', errorCode: 70500, httpStatus: 200 },
      { at: 6, command: 'account_import', errorCode: 1, httpStatus: 200, userId: 'bob' },
    ]),
  );
  const retried = await find(stage, 'ann');
  expect(retried.call).toMatchObject({ tries: 1, nextAt: dueAtMs, attempts: [{ errorCode: 70500 }] });
  expect(retried.call?.attempts).toHaveLength(1);

  // A suspect whose account was made without the profile has an account while the profile is tried.
  const suspicion = {
    since: 5,
    failures: 3,
    errorCode: 70500,
    httpStatus: 200,
    errorInfo: 'x',
    hasAccount: true,
  };
  expect(retried.hasAccount).toBeNull();
  await stage.redis.hset(
    stage.keys.callPrefix + callId,
    'suspects',
    JSON.stringify({ ann: suspicion, bob: { ...suspicion, hasAccount: false } }),
  );
  const suspected = await find(stage, 'ann');
  expect(suspected).toMatchObject({ hasAccount: true, call: { suspicion } });
  expect(userText(suspected, Date.now())).toContain('exists: it was imported without its profile');
  expect((await find(stage, 'bob')).hasAccount).toBeNull();

  // What is parked behind a suspect would join the next run.
  await stage.redis.hdel(stage.keys.callPrefix + callId, 'dueAt', 'suspects');
  await settle(stage, callId, 'import');
  expect(await find(stage, 'ann')).toMatchObject({
    state: 'waiting',
    call: null,
    parked: { count: 0 },
    waiting: [{ eventId: parked[0], place: 'returned' }],
  });
  // Only a whole ID is meant.
  expect(await find(stage, 'annie')).toMatchObject({ state: 'in-call', call: { callId: second2.callId } });
  expect((await find(stage, 'an')).state).toBe('missing');
});

test('reports dead letters of every state, also of an invalid user ID, beside the answer of the API', async () => {
  const stage = newStage();
  const [eventId] = await stage.add(user('ann'), user('bob'), user('a'.repeat(36)));
  await settle(stage, callOf(await stage.cut()).callId, 'die');
  const dead = await find(stage, 'ann', { kind: 'imported' });
  expect(dead).toMatchObject({
    state: 'dead-lettered',
    hasAccount: true,
    letters: [{ eventId, state: 'dead', errorCode: 70402 }],
    api: { kind: 'imported' },
  });
  const [newer] = await stage.add(user('ann'));
  await settle(stage, callOf(await stage.cut()).callId, 'import');
  expect(await find(stage, 'ann', new Error('no key'))).toMatchObject({
    state: 'unknown',
    hasAccount: true,
    letters: [{ eventId, state: 'resolved', resolvedBy: newer }],
    unchecked: ['the API was not asked whether the account exists: no key'],
  });
  const [word] = (await find(stage, 'b'.repeat(36))).unchecked;
  expect(word).toMatch(/^the API was not asked .*36 bytes long/);
  expect(asked).toEqual([]);
});

test('says why calls are stopped, and does not ask the API then', async () => {
  const stage = newStage();
  await createHoldState(stage.redis, stage.keys).pause('a test', 1);
  expect(await find(stage, 'ann')).toMatchObject({
    state: 'unknown',
    stopped: 'paused',
    unchecked: ['the API was not asked whether the account exists: all calls are paused (imsync status)'],
  });
  expect(asked).toEqual([]);
});

test('looks at both ends of a long stream, and says so', async () => {
  const stage = newStage();
  const some = users(10_500, 'x');
  const ids = [
    ...(await stage.add(user('first'))),
    ...(await stage.add(...some)),
    ...(await stage.add(user('middle'))),
    ...(await stage.add(...some)),
    ...(await stage.add(user('last'))),
  ];
  expect((await find(stage, 'first')).waiting).toEqual([{ eventId: ids[0], place: 'stream' }]);
  expect((await find(stage, 'last')).waiting).toEqual([{ eventId: ids.at(-1), place: 'stream' }]);
  const middle = await find(stage, 'middle');
  // An event may wait where it was not looked for, so the state is unknown although there is no account.
  expect(middle).toMatchObject({ state: 'unknown', hasAccount: false, waiting: [] });
  expect(middle.unchecked).toEqual([
    'the stream holds 21003 events: only the oldest and newest 10000 were looked at',
  ]);
});
