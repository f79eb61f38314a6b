import { once } from 'node:events';
import { get } from 'node:http';
import { costBetween, parseServerCost, type ServerCost } from '../../bench/measure/server-info.ts';
import { ACT_TOKEN, type Ask, askConsole, type ConsoleAnswer } from '../support/console-api.ts';
import { startConsole } from '../support/console-server.ts';
import { eventually } from '../support/eventually.ts';
import { floodLetters, HOT_USER } from '../support/letter-flood.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/**
 * What requests for dead letters cost Redis, counted. No request reads more when there are more letters: `npm run bench
 * -- console-letters` plays the same with a million.
 */

const COUNT = 12_000;
const LETTERS = '/api/dead-letters';
/** A dry run and a part of a deletion look at so many letters, at the rest of a page, and a dry run at whose they are. */
const MOST_LOOKED = 10_000 + 300;
/** All letters stand in the index under it, and none is its own. */
const NOBODY = 'has blank';

let server: TestRedis;
let page: Awaited<ReturnType<typeof startConsole>>;

beforeAll(async () => {
  server = await startRedis(['--appendonly', 'no']);
  page = await startConsole(server);
  const { redis, keys } = page;
  await floodLetters(redis, keys, COUNT);
  // Letters of IDs that are none stand together. So a filter meets many letters that it does not mean.
  const all = await redis.zrange(keys.deadByTime, '0', '-1');
  await redis.zadd(keys.deadByUser, ...all.flatMap((eventId) => [0, ` ${eventId}`]));
}, 60_000);
afterAll(async () => {
  await page?.close();
  await server?.stop();
});

async function costOf<T>(work: () => Promise<T>): Promise<{ readonly answer: T; readonly cost: ServerCost }> {
  const before = parseServerCost(await page.redis.info('all'));
  const answer = await work();
  return { answer, cost: costBetween(before, parseServerCost(await page.redis.info('all'))) };
}

const ask = (path: string, options: Ask = {}): Promise<ConsoleAnswer> =>
  askConsole(page.url, LETTERS + path, { token: ACT_TOKEN, ...options });

test.each([
  ['the list', ''],
  ['a reason', '&reason=profile'],
  ['a code', '&code=71234'],
  ['a reason and a code', '&reason=rejected&code=70402'],
  ['a user', `&user=${HOT_USER}`],
  ['an age', '&newerThanMs=604800000'],
  ['a code and an age that few have', '&code=70402&newerThanMs=86400000'],
  ['all states', '&state=all'],
])('%s: a page reads the letters that it shows, and so does the next one', async (_name, query) => {
  const first = await costOf(() => ask(`?limit=25${query}`));
  expect(first.answer.json.letters).toHaveLength(25);
  const { next } = first.answer.json;
  const second = await costOf(() => ask(`?limit=25${query}&cursor=${next}`));
  expect(second.answer.json.letters).toHaveLength(25);
  const letters = (answer: ConsoleAnswer) =>
    answer.json.letters.map((one: { eventId: string }) => one.eventId);
  expect(new Set([...letters(first.answer), ...letters(second.answer)]).size).toBe(50);
  for (const { cost } of [first, second]) {
    // A code by its age meets other codes.
    expect(cost.byCommand.get('hgetall')).toBeLessThanOrEqual(query.includes('newer') ? 125 : 25);
    expect(cost.commands).toBeLessThanOrEqual(140);
  }
});

test('groups, a letter, and a filter that no letter matches', async () => {
  const groups = await costOf(() => ask('/groups'));
  expect(groups.answer.json.total).toBe(COUNT);
  expect(groups.cost.commands).toBeLessThanOrEqual(50);
  const [{ eventId }] = (await ask('?limit=1')).json.letters;
  expect((await costOf(() => ask(`/${eventId}`))).cost.commands).toBeLessThanOrEqual(5);
  const none = await costOf(() => ask(`?limit=25&user=${encodeURIComponent(NOBODY)}`));
  expect(none.answer.json).toMatchObject({ letters: [], next: expect.any(String) });
  expect(none.cost.byCommand.get('hgetall')).toBeLessThanOrEqual(1_000);
});

test.each([
  ['all', { all: true }, { complete: false, letters: expect.any(Number) }],
  ['few of many', { filter: { user: NOBODY } }, { complete: false, letters: 0 }],
  ['one user', { filter: { user: HOT_USER } }, { complete: true, users: 1 }],
])('a dry run looks at a bounded number of letters: %s', async (_name, selection, expected) => {
  const { answer, cost } = await costOf(() => ask('/redrive', { body: { ...selection, dryRun: true } }));
  expect(answer.json).toMatchObject(expected);
  const looked = (cost.byCommand.get('hmget') ?? 0) + (cost.byCommand.get('hgetall') ?? 0);
  expect(looked).toBeGreaterThan(0);
  expect(looked).toBeLessThanOrEqual(MOST_LOOKED);
  expect(cost.byCommand.get('evalsha') ?? 0).toBeLessThanOrEqual(MOST_LOOKED / 100);
});

test('a deletion goes on by its cursor and looks at a bounded number of letters each time', async () => {
  const delete_ = (body: object): Promise<ConsoleAnswer> => ask('/delete', { body });
  let looked = 0;
  let deleted = 0;
  let requests = 0;
  for (let cursor: string | null | undefined; cursor !== null; requests++) {
    const filter = { filter: { user: NOBODY }, ...(cursor !== undefined && { cursor }) };
    const { answer, cost } = await costOf(() => delete_(filter));
    expect(cost.byCommand.get('hgetall') ?? 0).toBeLessThanOrEqual(MOST_LOOKED);
    looked += cost.byCommand.get('hgetall') ?? 0;
    deleted += answer.json.deleted;
    cursor = answer.json.next;
  }
  expect({ looked, deleted, requests }).toEqual({ looked: COUNT, deleted: 0, requests: 2 });
  const part = await delete_({ filter: { reason: 'rejected' } });
  expect(part.json).toMatchObject({ deleted: 5_000, next: expect.any(String) });
  expect((await ask('/groups?')).json.total).toBe(COUNT - 5_000);
}, 60_000);

/** Begins an export and takes none of it. */
function beginExport(query: string): { readonly status: Promise<number | undefined>; leave(): void } {
  const headers = { authorization: `Bearer ${ACT_TOKEN.replace(/^\w+:/, '')}` };
  const request = get(`${page.url}${LETTERS}/export${query}`, { headers });
  const status = once(request, 'response').then(([{ statusCode }]) => statusCode);
  // Who leaves gets none.
  status.catch(() => undefined);
  return { status, leave: () => request.destroy() };
}

test('an export begins at once and reads as it is taken; two run at a time', async () => {
  const one = beginExport('');
  const { answer, cost } = await costOf(() => one.status);
  expect(answer).toBe(200);
  expect(cost.byCommand.get('hgetall')).toBeLessThan(COUNT / 2);
  const two = beginExport('');
  await two.status;
  expect((await ask('/export')).json.error).toBe('too-many');
  one.leave();
  two.leave();
  await eventually('there is room again', async () => (await ask('/export?user=nobody')).status === 200);
});

test('an export that nobody takes any more ends, although none of its letters were meant', async () => {
  const read = async (): Promise<number> =>
    parseServerCost(await page.redis.info('all')).byCommand.get('hgetall') ?? 0;
  const before = await read();
  const begun = beginExport(`?user=${encodeURIComponent(NOBODY)}`);
  await eventually('it looks', async () => (await read()) > before, 30_000, 1);
  begun.leave();
  const seen: number[] = [];
  await eventually('it looks no more', async () => {
    seen.push(await read());
    return new Set(seen.slice(-20)).size === 1 && seen.length > 20;
  });
  expect((seen.at(-1) ?? 0) - before).toBeLessThan(COUNT - 5_000);
});
