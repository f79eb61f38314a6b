import type { StoredLetter } from '../../src/ledger/letters/dead-letters.ts';
import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import { entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { deadEvent, type Fate, settlementBy } from './settlements.ts';
import { callOf, type Stage, user, useStages } from './stage.ts';

const fresh = useStages();

/** Takes what waits through one call, each user by their fate. */
async function run(stage: Stage, fateOf: (userId: string) => Fate) {
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r');
  return settleRecord(stage.redis, stage.keys, callId, 'r', settlementBy(record, fateOf));
}

async function letters(stage: Stage, pageSize?: number): Promise<StoredLetter[]> {
  const found: StoredLetter[] = [];
  for await (const letter of listDeadLetters(stage, { state: 'dead' }, pageSize)) found.push(letter);
  return found;
}

test('a dead letter stands in every index, once', async () => {
  const stage = fresh();
  const [ann, bob] = await stage.add(user('ann'), user('bob'));
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r');
  const dead = [deadEvent(entriesOf(record)[0] ?? { eventId: '', fields: [] }, 'rejected', 70399)];
  const more = [deadEvent(entriesOf(record)[1] ?? { eventId: '', fields: [] }, 'profile', 40005)];
  const settlement = {
    imported: [],
    superseded: 0,
    released: ['ann', 'bob'],
    kept: null,
    publish: [],
    outcomes: [],
  };
  const settled = await settleRecord(stage.redis, stage.keys, callId, 'r', {
    ...settlement,
    dead: [...dead, ...more],
  });
  const now = settled.kind === 'settled' ? settled.nowMs : 0;
  const { redis, keys } = stage;
  expect(await redis.zrange(keys.deadByTime, '0', '-1', 'WITHSCORES')).toEqual([
    ann,
    String(now),
    bob,
    String(now),
  ]);
  expect(await redis.zrange(keys.deadByUser, '0', '-1')).toEqual([`ann ${ann}`, `bob ${bob}`]);
  expect(await redis.zrange(keys.deadByReason, '0', '-1')).toEqual([
    `profile 40005 ${bob}`,
    `rejected 70399 ${ann}`,
  ]);
  expect(await redis.hgetall(keys.deadUsers)).toEqual({ ann: '1', bob: '1' });
  expect(await redis.hgetall(keys.deadCounts)).toEqual({
    'reason:rejected': '1',
    'code:70399': '1',
    'reason:profile': '1',
    'code:40005': '1',
  });
  const times = { deadSince: now, firstDeadAt: now, notBefore: null };
  const both = { state: 'dead', ...times, attempts: [], redrives: [] };
  expect(await letters(stage)).toMatchObject([
    { eventId: ann, userId: 'ann', reason: 'rejected', errorCode: 70399, event: { userId: 'ann' }, ...both },
    { eventId: bob, userId: 'bob', reason: 'profile', errorCode: 40005, event: { userId: 'bob' }, ...both },
  ]);
  expect(await readTotals(redis, keys)).toMatchObject({
    deadLettered: 2,
    deadByReason: { rejected: 1, profile: 1 },
    deadByCode: { 70399: 1, 40005: 1 },
    oldestLetterMs: expect.any(Number),
  });
  expect(await stage.problems()).toEqual([]);
});

test('the import of a newer event resolves the older letters of its user, and of nobody else', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  // Names of which one begins with another, and neighbours in the order of the index.
  const names = ['an', 'ann', 'ann!', 'anna', 'ann1'];
  await stage.add(...names.flatMap((name) => [user(name), user(name)]), ['nick', 'nobody']);
  await run(stage, () => 'die');
  expect(await readTotals(redis, keys)).toMatchObject({ deadLettered: 11 });
  const [newer] = await stage.add(user('ann', 'nick', 'good'));
  expect(await run(stage, () => 'import')).toMatchObject({ resolved: 2 });
  expect(await stage.problems()).toEqual([]);
  expect(await readTotals(redis, keys)).toMatchObject({ deadLettered: 9, superseded: 2, imported: 1 });
  expect((await letters(stage)).filter(({ userId }) => userId === 'ann')).toEqual([]);
  expect(await redis.hkeys(keys.deadUsers)).not.toContain('ann');
  const resolved = await redis.zrange(keys.deadResolved, '0', '-1');
  expect(resolved).toHaveLength(2);
  for (const eventId of resolved)
    expect(await redis.hgetall(keys.deadPrefix + eventId)).toMatchObject({
      state: 'resolved',
      resolvedBy: newer,
      1: expect.any(String),
    });
});

test('a refused newest event stays dead when an older one is imported in its place', async () => {
  const stage = fresh();
  const [oldest, , newest] = await stage.add(user('ann'), user('ann'), user('ann', 'nick', 'bad'));
  expect(await run(stage, () => 'next')).toMatchObject({ resolved: 0 });
  expect((await letters(stage)).map(({ eventId }) => eventId)).toEqual([newest]);
  expect(oldest).toBeDefined();
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({
    deadLettered: 1,
    imported: 1,
    superseded: 1,
  });
  expect(await stage.problems()).toEqual([]);
});

test('IDs are compared as numbers, not as text', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  for (const id of ['9-9', '9-10', '10-0']) await redis.xadd(keys.stream, id, ...user('ann'));
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r');
  const dead = entriesOf(record)
    .filter(({ eventId }) => eventId !== '9-10')
    .map((entry) => deadEvent(entry));
  expect(
    await settleRecord(redis, keys, callId, 'r', {
      imported: [{ userId: 'ann', eventId: '9-10' }],
      superseded: 0,
      dead,
      released: ['ann'],
      kept: null,
      publish: [],
      outcomes: [],
    }),
  ).toMatchObject({ resolved: 1 });
  expect((await letters(stage)).map(({ eventId }) => eventId)).toEqual(['10-0']);
  expect(await stage.problems()).toEqual([]);
});

test('a letter that is no longer dead is not resolved', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  const [eventId = ''] = await stage.add(user('ann'));
  await run(stage, () => 'die');
  await redis.hset(keys.deadPrefix + eventId, 'state', 'redriving');
  await stage.add(user('ann'));
  expect(await run(stage, () => 'import')).toMatchObject({ resolved: 0 });
  expect(await redis.hget(keys.deadPrefix + eventId, 'state')).toBe('redriving');
});

test('letters are listed oldest first, page by page, those of one moment included', async () => {
  const stage = fresh();
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) {
    ids.push(...(await stage.add(...Array.from({ length: 7 }, (_, k) => user(`u${k}`)))));
    await run(stage, () => 'die');
  }
  for (const pageSize of [1, 3, 7, 500])
    expect((await letters(stage, pageSize)).map(({ eventId }) => eventId).sort()).toEqual([...ids].sort());
  expect(await stage.problems()).toEqual([]);
});

test.each([3, 300, 3_000])(
  'letters of %i characters of two to four bytes stand in Redis and are read as they were',
  async (length) => {
    const stage = fresh();
    // Wherever a piece would end, it ends within a character of one of them.
    const nicks = Array.from({ length: 9 }, (_, i) => 'x'.repeat(i) + 'é汉😀'.repeat(length / 3));
    await stage.add(...nicks.map((nick, i) => user(`ann${i}`, 'nick', nick)));
    const { callId } = callOf(await stage.cut());
    const record = await stage.take(callId, 'r');
    const dead = entriesOf(record).map((entry, i) => {
      const one = deadEvent(entry);
      const event = { userId: `ann${i}`, nick: nicks[i] ?? '' };
      return { ...one, letter: { ...one.letter, event } };
    });
    await settleRecord(stage.redis, stage.keys, callId, 'r', {
      ...{ imported: [], superseded: 0, kept: null, publish: [], outcomes: [], dead },
      released: dead.map(({ userId }) => userId),
    });
    expect((await letters(stage)).map(({ event }) => event.nick)).toEqual(nicks);
    // Long ones stand whole, since a block of many pieces is slow.
    const [{ eventId } = { eventId: '' }] = dead;
    expect(await stage.redis.hexists(stage.keys.deadPrefix + eventId, 'letter')).toBe(length > 1_000 ? 1 : 0);
    expect(await stage.problems()).toEqual([]);
  },
);
