import { costBetween, parseServerCost } from '../../bench/measure/server-info.ts';
import { askConsole, signIn, VIEW_TOKEN } from '../support/console-api.ts';
import { startConsole } from '../support/console-server.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/**
 * What viewers cost Redis, counted: they share what was read. (The status is shared by all who ask a process for it, its
 * ops server among them; `npm run bench -- console` measures it, too.)
 */

let server: TestRedis;
let page: Awaited<ReturnType<typeof startConsole>>;

beforeAll(async () => {
  server = await startRedis(['--appendonly', 'no']);
  page = await startConsole(server);
});
afterAll(async () => {
  await page?.close();
  await server?.stop();
});

/** What the overview asks for, apart from the status, and what the dead letters begin with. */
const PATHS = ['/api/history?span=15m', '/api/calls?limit=10', '/api/dead-letters/groups'];

/** Commands, without the INFO that counts them. */
async function costOf(cookies: readonly string[], paths: readonly string[]): Promise<number> {
  const before = parseServerCost(await page.redis.info('all'));
  const answers = await Promise.all(
    cookies.flatMap((cookie) => paths.map((path) => askConsole(page.url, path, { cookie }))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  return costBetween(before, parseServerCost(await page.redis.info('all'))).commands - 1;
}

test('twenty viewers with a session each cost Redis hardly more than one', async () => {
  const cookies: string[] = [];
  for (let i = 0; i < 20; i++) cookies.push(await signIn(page.url, VIEW_TOKEN));
  // Whether a session has ended is asked for each, once in 5 s.
  expect(await costOf(cookies, ['/api/session'])).toBeLessThanOrEqual(20);
  // One reading of each.
  expect(await costOf(cookies, PATHS)).toBeLessThanOrEqual(25);
});
