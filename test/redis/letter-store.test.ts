import type { StoredLetter } from '../../src/ledger/letters/dead-letters.ts';
import {
  deleteLetters,
  listDeadLetters,
  readLetters,
  summarizeLetters,
} from '../../src/ledger/letters/letter-store.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit } from '../support/audit.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { makeInvalidLetters } from '../support/letters.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(1400000000);
let server: TestRedis;
let redis: RedisClient;

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

async function all(letters: AsyncIterable<StoredLetter>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { eventId } of letters) ids.push(eventId);
  return ids;
}

/** Imports these users: their letters are resolved. */
async function importUsers(userIds: readonly string[]): Promise<void> {
  const driver = createCallDriver(redis, keys, async () => apiAnswer(0));
  for (const userId of userIds) await redis.xadd(keys.stream, '*', 'userId', userId);
  for (const { callId } of await driver.cut()) await driver.run(callId);
}

/** Refuses one event of each user with this code. */
async function refuse(code: number, userIds: readonly string[]): Promise<void> {
  // A profile fault is over when the profile is left out.
  const driver = createCallDriver(redis, keys, async (_command, accounts) =>
    apiAnswer(code === 40005 && accounts.every(({ Nick }) => Nick === undefined) ? 0 : code),
  );
  for (const userId of userIds) await redis.xadd(keys.stream, '*', 'userId', userId, 'nick', 'x');
  for (const { callId } of await driver.cut()) await driver.run(callId);
}

it.each([
  ['by time', 20_000, { state: 'dead' }],
  ['by code', 4_000, { state: 'dead', errorCode: 0 }],
  ['by reason', 4_000, { state: 'dead', reason: 'invalid' }],
] as const)(
  'letters come once each, %s, %i of them, while letters come, go and are resolved',
  async (_name, count, filter) => {
    const old = await makeInvalidLetters(redis, keys, 'u', count);
    const seen: string[] = [];
    let turn = 0;
    const gone = new Set<string>();
    for await (const letter of listDeadLetters({ redis, keys }, filter)) {
      seen.push(letter.eventId);
      if (seen.length % (count / 10) !== 0) continue;
      turn++;
      // Ahead of the reader, at it, and behind it.
      const at = seen.length;
      const deleted = [0, at - 1, at, at + 1, at + 500, at - 500].flatMap((i) => old[i] ?? []);
      await deleteLetters({ redis, keys }, await readLetters({ redis, keys }, deleted));
      const resolved = [at - 7, at + 7, at + 150, at - 150];
      await importUsers(resolved.map((i) => `u${i}`));
      for (const eventId of [...deleted, ...resolved.flatMap((i) => old[i] ?? [])]) gone.add(eventId);
      await makeInvalidLetters(redis, keys, `new${turn}-`, 100);
    }
    expect(new Set(seen).size).toBe(seen.length);
    const stayed = old.filter((eventId) => !gone.has(eventId));
    const listed = new Set(seen);
    expect(stayed.filter((eventId) => !listed.has(eventId))).toEqual([]);
    // Newcomers are for the next listing.
    const known = new Set(old);
    expect(seen.filter((eventId) => !known.has(eventId))).toEqual([]);
    expect(await letterProblems(redis, keys)).toEqual([]);
  },
  120_000,
);

it('pages of one go on where letters that died at the same moment vanish one by one', async () => {
  await makeInvalidLetters(redis, keys, 'u', 50);
  const seen: string[] = [];
  for await (const letter of listDeadLetters({ redis, keys }, { state: 'dead' }, 1)) {
    seen.push(letter.eventId);
    await deleteLetters({ redis, keys }, [letter]);
  }
  expect(seen.length).toBe(50);
  expect(await redis.keys(`${keys.deadPrefix}*`)).toEqual([]);
});

describe('filters', () => {
  it('find letters by user, code, reason, age and state', async () => {
    await makeInvalidLetters(redis, keys, 'bad', 3);
    await refuse(70402, ['ann', 'bob']);
    await refuse(40005, ['cyd']);
    await refuse(70399, ['bob', 'dan']);
    await importUsers(['ann']);
    const count = async (filter: Parameters<typeof listDeadLetters>[1]): Promise<number> =>
      (await all(listDeadLetters({ redis, keys }, filter))).length;

    expect(await count({ state: 'dead' })).toBe(7);
    expect(await count({ state: 'dead', limit: 2 })).toBe(2);
    expect(await count({ state: 'dead', userId: 'bob' })).toBe(2);
    expect(await count({ state: 'dead', userId: 'bo' })).toBe(0);
    expect(await count({ state: 'dead', userId: 'bob', errorCode: 70399 })).toBe(1);
    expect(await count({ state: 'dead', errorCode: 70399 })).toBe(2);
    expect(await count({ state: 'dead', errorCode: 7039 })).toBe(0);
    expect(await count({ state: 'dead', reason: 'rejected' })).toBe(3);
    expect(await count({ state: 'dead', reason: 'rejected', errorCode: 70402 })).toBe(1);
    expect(await count({ state: 'resolved' })).toBe(1);
    expect(await count({ state: 'all' })).toBe(8);
    expect(await count({ state: 'dead', olderThanMs: 3_600_000 })).toBe(0);
    expect(await count({ state: 'dead', newerThanMs: 3_600_000 })).toBe(7);

    const summary = await summarizeLetters({ redis, keys });
    expect(summary).toMatchObject({ total: 7, redriving: 0, resolved: 1 });
    expect(summary.groups.map(({ reason, errorCode, count: n }) => [reason, errorCode, n])).toEqual(
      expect.arrayContaining([
        ['invalid', 0, 3],
        ['rejected', 70402, 1],
        ['profile', 40005, 1],
        ['rejected', 70399, 2],
      ]),
    );
    expect(summary.groups.find(({ errorCode }) => errorCode === 70399)?.newest?.userId).toBe('dan');
  });

  it('find letters of what is no user ID', async () => {
    await redis.xadd(keys.stream, '*', 'userId', 'a name with spaces');
    await redis.xadd(keys.stream, '*', 'nick', 'nobody');
    const driver = createCallDriver(redis, keys, async () => apiAnswer(0));
    for (const { callId } of await driver.cut()) await driver.run(callId);
    expect(
      await all(listDeadLetters({ redis, keys }, { state: 'dead', userId: 'a name with spaces' })),
    ).toHaveLength(1);
  });
});

it('deletes letters with every trace, and leaves the books as they were', async () => {
  await refuse(70402, ['ann', 'bob']);
  await importUsers(['bob']);
  const [ann] = await readLetters({ redis, keys }, await all(listDeadLetters({ redis, keys })));
  const [bob] = await readLetters(
    { redis, keys },
    await all(listDeadLetters({ redis, keys }, { state: 'resolved' })),
  );
  if (ann === undefined || bob === undefined) throw new Error('two letters were expected');

  expect(await deleteLetters({ redis, keys }, [{ ...ann, deadSince: ann.deadSince - 1 }])).toEqual([
    'changed',
  ]);
  expect(await deleteLetters({ redis, keys }, [ann, bob, bob])).toEqual(['deleted', 'deleted', 'gone']);

  expect(await redis.keys(`${keys.deadPrefix.slice(0, -1)}*`)).toEqual([]);
  expect(await redis.hmget(keys.books, 'dead', 'superseded', 'imported')).toEqual(['1', '1', '1']);
  expect(await letterProblems(redis, keys)).toEqual([]);
  expect((await audit(redis, keys)).problems).toEqual([]);
});
