import type { LetterFilter } from '../../src/ledger/letters/dead-letters.ts';
import { isCursorOf, type LetterCursor, pageOfLetters } from '../../src/ledger/letters/letter-pages.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** Pages of a long list of letters: complete, in order, and a page costs the same wherever it lies. */

const COUNT = 100_000;
const FIRST_MS = 1_700_000_000_000;
let server: TestRedis;
let redis: RedisClient;
let keys: Keys;

/** Letters as settle writes them, 250 in each millisecond; one in a thousand is `expired`. */
const SEED = `
local prefix, first = ARGV[1], tonumber(ARGV[2])
for i = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  local at = first + math.floor(i / 250)
  local id = string.format('%.0f-%d', at, i % 250)
  local reason, code = i % 1000 == 0 and 'expired' or 'rejected', 70402
  local letter = cjson.encode({ eventId = id, userId = 'user' .. i, reason = reason, errorCode = code, errorInfo = 'no',
    httpStatus = 200, command = 'multiaccount_import', firstSeenAt = at, attempts = {} })
  letter = string.gsub(string.gsub(letter, '"attempts":{}', '"attempts":[]'), '}$', ',"notBefore":null,"event":{"userId":"u"}}')
  redis.call('HSET', prefix .. 'dead:' .. id, 'letter', letter, 'state', 'dead', 'deadAt', at, 'userId', 'user' .. i,
    'reason', reason, 'code', code)
  redis.call('ZADD', prefix .. 'dead-by-time', at, id)
  redis.call('ZADD', prefix .. 'dead-by-reason', 0, reason .. ' ' .. code .. ' ' .. id)
end`;

beforeAll(async () => {
  server = await startRedis(['--appendonly', 'no']);
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  await whenReady(redis, 10_000);
  keys = keysOf(7);
  const prefix = keys.stream.slice(0, -'user-created'.length);
  for (let from = 0; from < COUNT; from += 10_000)
    await redis.eval(SEED, 1, keys.stream, prefix, FIRST_MS, from, from + 10_000);
}, 60_000);
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

async function walk(filter: LetterFilter, limit: number, most = Number.POSITIVE_INFINITY) {
  const seen: string[] = [];
  let pages = 0;
  for (let cursor: LetterCursor | null | undefined; cursor !== null && pages < most; pages++) {
    const page = await pageOfLetters({ redis, keys }, filter, limit, cursor ?? null);
    seen.push(...page.letters.map(({ eventId }) => eventId));
    cursor = page.next;
    if (cursor !== null) expect(isCursorOf(cursor, filter)).toBe(true);
  }
  return { seen, pages };
}

async function commandsOf(work: () => Promise<unknown>): Promise<number> {
  await redis.config('RESETSTAT');
  await work();
  const stats = await redis.info('commandstats');
  return [...stats.matchAll(/^cmdstat_(?:hgetall|zrev\w+):calls=(\d+)/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

test('by time every letter comes once, the newest first, although a page ends within a millisecond', async () => {
  const { seen } = await walk({ state: 'dead' }, 200, 60);
  expect(seen).toHaveLength(12_000);
  expect(new Set(seen).size).toBe(12_000);
  expect(seen[0]).toMatch(new RegExp(`^${FIRST_MS + COUNT / 250 - 1}-`));
  const times = seen.map((id) => Number.parseInt(id, 10));
  expect(times).toEqual([...times].sort((a, b) => b - a));
}, 30_000);

test('by reason and by code, to the end of the list', async () => {
  expect(new Set((await walk({ state: 'dead', reason: 'expired' }, 30)).seen).size).toBe(100);
  expect((await walk({ state: 'dead', errorCode: 70402 }, 200, 20)).seen).toHaveLength(4_000);
  expect((await walk({ state: 'dead', errorCode: 70402, reason: 'expired' }, 200)).seen).toHaveLength(100);
}, 30_000);

test('a filter that few letters match gives short pages that go on, and never a slow one', async () => {
  const filter = { state: 'dead', userId: 'user42', errorCode: 1 } as const;
  expect((await walk(filter, 50)).seen).toEqual([]);
  const { pages } = await walk({ state: 'dead', errorCode: 70402, olderThanMs: 0, newerThanMs: 1 }, 50, 3);
  expect(pages).toBe(3);
  expect(
    await commandsOf(() =>
      pageOfLetters({ redis, keys }, { state: 'dead', errorCode: 70402, newerThanMs: 1 }, 50, null),
    ),
  ).toBeLessThanOrEqual(1_060);
}, 30_000);

test('a page deep in the list costs what the first one costs', async () => {
  const first = await commandsOf(() => walk({ state: 'dead' }, 50, 1));
  const deep: LetterCursor = {
    state: 'dead',
    member: `${FIRST_MS + 5}-100`,
    score: String(FIRST_MS + 5),
    asOfMs: Date.now(),
  };
  const later = await commandsOf(() => pageOfLetters({ redis, keys }, { state: 'dead' }, 50, deep));
  expect(later).toBeLessThanOrEqual(first + 3);
});

test('what dies or goes meanwhile neither comes nor moves a page', async () => {
  const one = await pageOfLetters({ redis, keys }, { state: 'dead' }, 50, null);
  const last = one.letters.at(-1)?.eventId ?? '';
  await redis.zrem(keys.deadByTime, last);
  await redis.zadd(keys.deadByTime, Date.now() + 60_000, '9-9');
  const two = await pageOfLetters({ redis, keys }, { state: 'dead' }, 50, one.next);
  const both = [...one.letters, ...two.letters].map(({ eventId }) => eventId);
  expect(new Set(both).size).toBe(100);
  expect(both).not.toContain('9-9');
  const straight = await walk({ state: 'dead' }, 100, 1);
  expect(both.filter((id) => id !== last)).toEqual(straight.seen.slice(0, 99));
});
