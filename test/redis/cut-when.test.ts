import { createHoldState } from '../../src/hold/hold-state.ts';
import { BATCH, callOf, callsOf, oldForm, type Stage, user, users, useStages } from './stage.ts';

const fresh = useStages();

/** Not quiet: whatever was started, a lone event lingers. */
const busy = { eagerCalls: 0 };

async function redisNowMs({ redis }: Stage): Promise<number> {
  const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

async function addAt(stage: Stage, id: string, ...fields: string[]): Promise<void> {
  await stage.redis.xadd(stage.keys.stream, id, ...fields);
}

test('nothing waits: empty', async () => {
  const stage = fresh();
  expect(await stage.cut()).toEqual({ kind: 'empty', waiting: 0 });
});

test('full: as many events as a call takes are cut whatever their age', async () => {
  const stage = fresh();
  await stage.add(...users(99));
  expect(await stage.cut(busy)).toMatchObject({ kind: 'linger', waiting: 99 });
  await stage.add(user('last'));
  expect(callOf(await stage.cut(busy))).toEqual({ callId: 'c1', command: BATCH, users: 100 });
  expect(await stage.problems()).toEqual([]);
});

test('aged: the wait is counted from the first event', async () => {
  const stage = fresh();
  const now = await redisNowMs(stage);
  await addAt(stage, `${now - 30_000}-0`, ...user('old'));
  await stage.add(user('new'));
  expect(await stage.cut(busy)).toMatchObject({ kind: 'linger', waiting: 2 });
  expect(callOf(await stage.cut({ ...busy, maxWaitMs: 30_000 })).users).toBe(2);
});

test('aged: what came back from parking counts from its return', async () => {
  const stage = fresh();
  await stage.redis.rpush(stage.keys.returned, JSON.stringify(['1-1', ...user('ann')]));
  const now = await redisNowMs(stage);
  await stage.redis.hset(stage.keys.books, 'returnedSince', now);
  expect(await stage.cut(busy)).toMatchObject({ kind: 'linger', waiting: 1 });
  await stage.redis.hset(stage.keys.books, 'returnedSince', now - 60_000);
  expect((await stage.cut(busy)).kind).toBe('cut');
});

test('linger: when it is due is told, counted from the age, which is never negative', async () => {
  const stage = fresh();
  await addAt(stage, `${(await redisNowMs(stage)) - 20_000}-0`, ...user('ann'));
  const answer = await stage.cut(busy);
  expect(answer.kind === 'linger' && answer.dueInMs > 0 && answer.dueInMs <= 40_000).toBe(true);
  const ahead = fresh();
  await addAt(ahead, `${(await redisNowMs(ahead)) + 900}-0`, ...user('ann'));
  expect(await ahead.cut(busy)).toEqual({ kind: 'linger', waiting: 1, dueInMs: 60_000 });
});

test('an ID from the future does not linger until the clock has caught up', async () => {
  for (const id of [`${Date.now() + 3_600_000}-0`, '18446744073709551615-18446744073709551615']) {
    const stage = fresh();
    await addAt(stage, id, ...user('ann'));
    expect(callOf(await stage.cut(busy)).users).toBe(1);
    expect(await stage.problems()).toEqual([]);
  }
});

test('quiet: cut at once while few calls were started in the last second and few are open', async () => {
  const stage = fresh();
  const quiet = { eagerCalls: 3 };
  const started = stage.keys.startedPrefix + BATCH;
  const nowMicros = (await redisNowMs(stage)) * 1_000;
  // Two of this second, and many of seconds ago.
  for (const [name, at] of [
    ['1', nowMicros + 3e7],
    ['2', nowMicros + 3e7],
    ['3', nowMicros - 2e6],
    ['4', nowMicros - 2e6],
  ] as const)
    await stage.redis.zadd(started, at, name);
  await stage.add(user('ann'));
  expect((await stage.cut(quiet)).kind).toBe('cut');

  await stage.redis.zadd(started, nowMicros + 3e7, '5');
  await stage.add(user('bob'));
  expect((await stage.cut(quiet)).kind).toBe('linger');

  await stage.redis.del(started);
  await stage.cut();
  await stage.add(user('cid'));
  await stage.cut();
  await stage.add(user('dan'));
  expect(await stage.redis.zcard(stage.keys.open)).toBe(3);
  expect((await stage.cut(quiet)).kind).toBe('linger');
});

test('quiet, but within a slot of the cut before: what comes meanwhile shares a call', async () => {
  const stage = fresh();
  const slow = { eagerGapMs: 30_000 };
  await stage.add(user('ann'));
  expect((await stage.cut(slow)).kind).toBe('cut');
  await stage.add(user('bob'));
  const answer = await stage.cut(slow);
  expect(answer.kind === 'linger' && answer.dueInMs > 20_000 && answer.dueInMs <= 30_000).toBe(true);
  // A wait that is over, a full call, the time of a slot, or a clock set back: each ends it.
  expect((await stage.cut({ ...slow, maxWaitMs: 0 })).kind).toBe('cut');
  await stage.add(...users(100));
  expect(callOf(await stage.cut(slow)).users).toBe(100);
  for (const cutAt of [(await redisNowMs(stage)) - 30_001, (await redisNowMs(stage)) + 60_000]) {
    await stage.add(user(`at${cutAt}`));
    await stage.redis.hset(stage.keys.cutter, 'cutAt', cutAt);
    expect((await stage.cut(slow)).kind).toBe('cut');
  }
});

test('what lingers holds nothing back that is due by another limit', async () => {
  const stage = fresh();
  await stage.add(...users(2));
  expect((await stage.cut(busy)).kind).toBe('linger');
  expect((await stage.cut({ ...busy, maxUsers: 2 })).kind).toBe('cut');
});

describe('back-pressure', () => {
  test('no more open calls than allowed; events wait in the stream', async () => {
    const stage = fresh();
    await stage.add(...users(10));
    const few = { maxUsers: 2, maxOpenCalls: 3 };
    expect(await stage.cutAll(few)).toHaveLength(3);
    expect(await stage.cut(few)).toEqual({ kind: 'blocked', waiting: 4, by: 'open-calls' });
    expect(await stage.problems()).toEqual([]);
  });

  test('robots count as well, each a call of its own', async () => {
    const stage = fresh();
    const robots = users(10, '@RBT#').map((fields) => [...fields, 'type', '1']);
    await stage.add(...robots, user('ann'));
    expect(callsOf(await stage.cut({ ...oldForm, maxOpenCalls: 4 }))).toHaveLength(4);
    expect(await stage.cut({ ...oldForm, maxOpenCalls: 4 })).toEqual({
      kind: 'blocked',
      waiting: 7,
      by: 'open-calls',
    });
    expect(callsOf(await stage.cut({ ...oldForm, maxOpenCalls: 10 }))).toHaveLength(6);
    expect(await stage.cut({ ...oldForm, maxOpenCalls: 10 })).toMatchObject({ kind: 'blocked', waiting: 1 });
    expect(callsOf(await stage.cut({ ...oldForm, maxOpenCalls: 11 }))).toMatchObject([{ command: BATCH }]);
    expect(await stage.problems()).toEqual([]);
  });

  test('held: one call stands ready for the probe, no more', async () => {
    const stage = fresh();
    const hold = createHoldState(stage.redis, stage.keys);
    await hold.blocked(
      { epoch: '0', probe: false },
      { errorCode: 60006, errorInfo: '', kind: 'configuration' },
    );
    await stage.add(user('@RBT#1', 'type', '1'), user('@RBT#2', 'type', '1'), user('ann'));
    expect(callsOf(await stage.cut(oldForm))).toHaveLength(1);
    expect(await stage.cut(oldForm)).toEqual({ kind: 'blocked', waiting: 2, by: 'held' });
    expect(await hold.success({ epoch: '1', probe: true })).toBe('cleared');
    expect(callsOf(await stage.cut(oldForm))).toHaveLength(2);
    expect(await stage.problems()).toEqual([]);
  });

  test('held by a brake that nobody in a call proves to be over: a fresh call for every other probe', async () => {
    const stage = fresh();
    await stage.redis.hset(stage.keys.hold, 'held', '{}', 'kind', 'brake', 'probes', '0');
    await stage.add(...['ann', 'bob', 'cyd', 'dan'].map((userId) => user(userId, 'nick', 'n'.repeat(400))));
    const cut = (probes: number) =>
      stage.redis
        .hset(stage.keys.hold, 'probes', String(probes))
        .then(() => stage.cut({ maxUsers: 1, maxOpenCalls: 1 }));
    expect(callsOf(await cut(0))).toHaveLength(1);
    for (const probes of [0, 1, 2, 4])
      expect(await cut(probes)).toMatchObject({ kind: 'blocked', by: 'held' });
    expect(callsOf(await cut(5))).toHaveLength(1);
    expect(await cut(5)).toMatchObject({ kind: 'blocked', by: 'held' });
    expect(callsOf(await cut(7))).toHaveLength(1);
    expect(await stage.problems()).toEqual([]);
  });

  test('paused: nothing is cut', async () => {
    const stage = fresh();
    await stage.redis.hset(stage.keys.hold, 'paused', '{}');
    await stage.add(user('ann'));
    expect(await stage.cut()).toEqual({ kind: 'blocked', waiting: 1, by: 'paused' });
    await stage.redis.hdel(stage.keys.hold, 'paused');
    expect((await stage.cut()).kind).toBe('cut');
  });
});
