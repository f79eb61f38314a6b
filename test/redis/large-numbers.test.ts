import { deathSpan } from '../../src/ledger/letters/dead-letters.ts';
import { listDeadLetters } from '../../src/ledger/letters/letter-store.ts';
import { previewLetters } from '../../src/ledger/letters/preview.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { dryRun, type RedriveOptions, redrive } from '../../src/tasks/redrive.ts';
import { makeInvalidLetters } from '../support/letters.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { makeRefusedLetters } from '../support/refused-letters.ts';

const keys = keysOf(1_400_000_000);
let server: TestRedis;
let redis: RedisClient;
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

/** Letters as version 0.2.0 wrote them: the whole letter is one JSON text. */
const letters = (userId: string, count: number, ms: number) => {
  const batch = redis.pipeline();
  for (let i = 0; i < count; i++) {
    const eventId = `${ms}-${i}`;
    const letter = {
      eventId,
      userId,
      reason: 'rejected',
      errorCode: 7,
      event: { userId },
      attempts: [],
      notBefore: null,
    };
    const fields = {
      letter: JSON.stringify(letter),
      state: 'dead',
      userId,
      reason: 'rejected',
      code: '7',
      deadAt: '5',
    };
    batch.hset(keys.deadPrefix + eventId, fields);
    batch.zadd(keys.deadByTime, 5, eventId);
    batch.zadd(keys.deadByUser, 0, `${userId} ${eventId}`);
    batch.zadd(keys.deadByReason, 0, `rejected 7 ${eventId}`);
  }
  return batch.exec();
};

test('letters of one millisecond are listed by age, whatever the index and the size of the page', async () => {
  await letters('ann', 25, 1_000);
  const byAge = Array.from({ length: 25 }, (_, i) => `1000-${i}`);
  for (const filter of [{}, { userId: 'ann' }, { errorCode: 7 }, { reason: 'rejected' } as const])
    for (const pageSize of [4, 100]) {
      const listed: string[] = [];
      for await (const { eventId } of listDeadLetters(
        { redis, keys },
        { state: 'dead', ...filter },
        pageSize,
      ))
        listed.push(eventId);
      expect([filter, pageSize, listed]).toEqual([filter, pageSize, byAge]);
    }
  await redis.flushall();
});

test('a typical letter takes at most 900 bytes of Redis, its places in all lists included', async () => {
  const count = 2_000;
  await makeRefusedLetters(redis, keys, 'user-100', count);
  let bytes = 0;
  for (let cursor = '0', turn = 0; turn === 0 || cursor !== '0'; turn++) {
    const [next, page] = await redis.scan(
      cursor,
      'MATCH',
      `${keys.deadPrefix.slice(0, -1)}*`,
      'COUNT',
      1_000,
    );
    cursor = next;
    const sizes = await redis.pipeline(page.map((key) => ['memory', 'usage', key, 'SAMPLES', '0'])).exec();
    for (const [, size] of sizes ?? []) bytes += Number(size);
  }
  expect(await redis.zcard(keys.deadByTime)).toBe(count);
  expect(bytes / count).toBeLessThanOrEqual(900);
  await redis.flushall();
});

test('a step of a redrive looks at a bounded number of letters, and leaves the other users to the next', async () => {
  const users = Array.from({ length: 10 }, (_, i) => `user${i}`);
  for (const [i, user] of users.entries()) await letters(user, 100, 2_000 + i);
  const request = {
    ...{ users, by: 'test', maxOpenCalls: 100, dryRun: false, early: false, invalid: false },
    batchCommand: 'multiaccount_import',
    singleCommand: 'account_import',
  } as const;
  const first = await redriveUsers({ redis, keys }, request);
  // 300 letters are looked at before no further user is begun.
  expect(first.users.map(({ userId }) => userId)).toEqual(users.slice(0, 3));
  const next = await redriveUsers({ redis, keys }, { ...request, users: users.slice(3) });
  expect(next.users.map(({ word, letters: count }) => [word, count])).toEqual(
    Array(3).fill(['redriven', 100]),
  );
  await redis.flushall();
});

test('a dry run tells of each user what a redrive would do', async () => {
  const [eventId = ''] = await makeInvalidLetters(redis, keys, 'odd', 1);
  await letters('bob', 1, 3_000);
  await letters('carl', 2, 3_001);
  const request = {
    ...{ users: ['odd0', 'bob', 'carl'], by: 'test', maxOpenCalls: 100, early: false, invalid: false },
    batchCommand: 'multiaccount_import',
    singleCommand: 'account_import',
  } as const;
  const told = await redriveUsers({ redis, keys }, { ...request, dryRun: true });
  const late = JSON.stringify({ event: { userId: 'bob' }, notBefore: Date.now() + 60_000 });
  await redis.hset(`${keys.deadPrefix}3000-0`, 'letter', late);
  const early = await redriveUsers({ redis, keys }, { ...request, dryRun: true });
  await redis.hset(
    `${keys.deadPrefix}3000-0`,
    'letter',
    '{"event":{"userId":"bob","nick":"\\"partial\\":true"}}',
  );
  const done = await redriveUsers({ redis, keys }, { ...request, dryRun: false });
  expect(eventId).toMatch(/-/);
  expect(done.users).toEqual(told.users);
  expect(told.users.map(({ word }) => word)).toEqual(['invalid', 'redriven', 'redriven']);
  expect(early.users.map(({ word }) => word)).toEqual(['invalid', 'early', 'redriven']);
});

test('a dry run of many letters sends few commands, and counts as one that reads them', async () => {
  await redis.flushall();
  await makeRefusedLetters(redis, keys, 'user-', 2_000);
  await makeInvalidLetters(redis, keys, 'odd', 3);
  // Users with several letters; one who waits for a date, by a letter of version 0.2.0; one who is in a call.
  await letters('bob', 3, 3_000);
  await letters('carl', 1, 3_001);
  await redis.hset(`${keys.deadPrefix}3001-0`, 'letter', `{"event":{},"notBefore":${Date.now() + 60_000}}`);
  await redis.hset(keys.deadUsers, { bob: 3, carl: 1 });
  await redis.hset(keys.owners, 'user-7', 'c1');
  const app = { redis, keys };
  const request = {
    ...{ by: 'test', maxOpenCalls: 100, dryRun: true, early: false, invalid: false },
    batchCommand: 'multiaccount_import',
    singleCommand: 'account_import',
  } as const;
  const options: RedriveOptions = {
    ...app,
    request,
    queues: { add: async () => undefined },
    ...{ allowOddIds: [], maxUsers: 100, usersPerSecond: Number.POSITIVE_INFINITY, maxFailedShare: 1 },
    hasRoom: async () => true,
    onProgress: () => undefined,
    sleep: async () => undefined,
  };
  const span = deathSpan({ state: 'dead' }, Date.now() + 1_000);
  for (const filter of [{}, { errorCode: 7 }, { reason: 'rejected' } as const, { userId: 'bob' }]) {
    const read = await redrive(options, listDeadLetters(app, { state: 'dead', ...filter }));
    await redis.config('RESETSTAT');
    const counted = await dryRun(options, previewLetters(app, filter, span, false));
    expect([filter, counted]).toEqual([filter, read]);
    const stats = await redis.info('commandstats');
    // 300 letters a call, and at worst another one for the rest of the last millisecond of each page.
    expect(Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])).toBeLessThanOrEqual(16);
    // A text is read for users with several letters alone.
    expect(Number(/cmdstat_hgetall:calls=(\d+)/.exec(stats)?.[1] ?? 0)).toBeLessThanOrEqual(3);
  }
  expect(await dryRun(options, previewLetters(app, {}, span, false))).toMatchObject({
    letters: 2_002,
    left: { busy: 1, early: 1, invalid: 3 },
  });
  await redis.flushall();
});
