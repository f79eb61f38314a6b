import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { costBetween, parseServerCost } from '../../bench/measure/server-info.ts';
import { takeOut } from '../../src/ledger/forget/forget.ts';
import { deathSpan } from '../../src/ledger/letters/dead-letters.ts';
import { pageOfLetters } from '../../src/ledger/letters/letter-pages.ts';
import { listDeadLetters, summarizeLetters } from '../../src/ledger/letters/letter-store.ts';
import { previewLetters } from '../../src/ledger/letters/preview.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { findPlaces } from '../../src/ledger/user-places.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { loadScript } from '../../src/redis/script.ts';
import { deleteMeant } from '../../src/tasks/delete-letters.ts';
import { forgetUser } from '../../src/tasks/forget-user.ts';
import { booksProblems } from '../support/audit.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { countMoved, type MovedEntries } from '../support/moved-entries.ts';
import { startRedis } from '../support/redis-server.ts';
import { makeRefusedLetters, typicalEvent } from '../support/refused-letters.ts';

/**
 * `npm run chaos:large -- [SHARE]`: a million letters, a million parked events of ten users, five million waiting events,
 * and 10,000 users in a redrive and a forget; or a share of them, as 0.01. Prints for each step the script that held Redis
 * longest, by Redis's slowlog, how much of Redis's CPU a call took on average, and how many entries one call moved. Takes 3 GiB and half an hour. Ends with 1 if
 * the totals do not balance. Other work on the machine shows in the slowlog's times, since it stops Redis in the middle of a
 * script: read them beside the load and the CPU.
 */
const share = Number(process.argv[2] ?? 1);
const LETTERS = 1_000_000 * share;
const PARKED = 1_000_000 * share;
const WAITING = 5_000_000 * share;
const USERS = 10_000 * share;
const STARS = 10;
const CUTS = 300;
const LOGGED_MICROS = 1_000;
const GOAL_MS = 10;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Scripts by their hash, as the sources load them. */
function scriptNames(): Map<string, string> {
  const names = new Map<string, string>();
  const root = fileURLToPath(new URL('../../src/', import.meta.url));
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    // The one that defines it shows an example.
    if (!file.endsWith('.ts') || file.endsWith('script.ts')) continue;
    const path = join(root, file);
    for (const [, list = ''] of readFileSync(path, 'utf8').matchAll(
      /loadScript\(\s*import\.meta\.url,([^)]*)\)/g,
    )) {
      const parts = [...list.matchAll(/'([^']+)'/g)].map(([, name = '']) => name);
      const [first, ...others] = parts;
      if (first === undefined) continue;
      const script = loadScript(pathToFileURL(path).href, first, ...others);
      names.set(script.sha, script.name);
    }
  }
  return names;
}

interface SlowCommand {
  readonly name: string;
  readonly ms: number;
}

const names = scriptNames();

/** What Redis took longer than a millisecond for, the slowest first. */
async function slowCommands(redis: RedisClient): Promise<SlowCommand[]> {
  const log = (await redis.call('SLOWLOG', 'GET', '-1')) as [number, number, number, string[]][];
  return log
    .map(([, , micros, [command = '', sha = '']]) => ({
      name: names.get(sha) ?? command.toLowerCase(),
      ms: micros / 1_000,
    }))
    .filter(({ name }) => name !== 'slowlog')
    .sort((a, b) => b.ms - a.ms);
}

/** Does one step, and prints what it cost. */
async function step(
  client: RedisClient,
  what: string,
  moved: MovedEntries,
  work: () => Promise<unknown>,
): Promise<void> {
  await client.call('SLOWLOG', 'RESET');
  await client.config('RESETSTAT');
  moved.reset();
  const before = parseServerCost(await client.info('everything'));
  const startedMs = performance.now();
  await work();
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const { cpuMicros, byCommand } = costBetween(before, parseServerCost(await client.info('everything')));
  const calls = (byCommand.get('evalsha') ?? 0) + (byCommand.get('eval') ?? 0);
  const cpuMs = (cpuMicros / 1_000 / calls).toFixed(2);
  const slow = await slowCommands(client);
  const over = slow.filter(({ ms }) => ms > GOAL_MS).length;
  const longest = new Map<string, number>();
  for (const { name, ms } of slow) if (!longest.has(name)) longest.set(name, ms);
  const list = [...longest].slice(0, 4).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
  say(
    `| ${what} | ${seconds} s | ${list.join(', ') || 'below 1 ms'} | ${over} | ${calls} | ${cpuMs} ms | ${moved.most() || '-'} | ${loadavg()[0]?.toFixed(1)} |`,
  );
}

/** Adds waiting events of users `w0`, `w1`, … in Redis itself, as one client could not in this time. */
async function addWaiting(redis: RedisClient, keys: Keys, count: number): Promise<void> {
  const lua = `for i = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], '*', 'userId', 'w' .. i, 'nick', 'Nick of ' .. i) end`;
  for (let from = 0; from < count; from += 2_000) await redis.eval(lua, 1, keys.stream, from, from + 1_999);
}

async function park(
  redis: RedisClient,
  keys: Keys,
  driver: ReturnType<typeof createCallDriver>,
): Promise<void> {
  for (let from = 0; from < PARKED; from += 5_000) {
    const batch = redis.pipeline();
    for (let i = from; i < from + 5_000; i++)
      batch.xadd(keys.stream, '*', ...typicalEvent(`star${i % STARS}`, i));
    await batch.exec();
    while ((await redis.xlen(keys.stream)) > 0) await driver.cut();
  }
}

async function play(client: RedisClient, keys: Keys): Promise<string[]> {
  const moved = countMoved(client, keys);
  const app = { redis: moved.redis, keys };
  const driver = createCallDriver(moved.redis, keys, async () => apiAnswer(0));
  const runOpen = async (): Promise<void> => {
    for (const callId of await client.zrange(keys.open, '0', '-1')) await driver.run(callId);
  };
  const take = (what: string, work: () => Promise<unknown>): Promise<void> => step(client, what, moved, work);

  await take(`${LETTERS} letters written`, () => makeRefusedLetters(client, keys, 'user-', LETTERS));
  const batch = client.pipeline();
  for (let i = 0; i < STARS; i++) batch.xadd(keys.stream, '*', ...typicalEvent(`star${i}`, i));
  await batch.exec();
  await driver.cut();
  await take(`${PARKED} events of ${STARS} users parked`, () => park(client, keys, driver));
  await take(`${WAITING} events waiting`, () => addWaiting(client, keys, WAITING));
  await take('totals, places of a user, pages and summary of letters', async () => {
    await readTotals(moved.redis, keys);
    await findPlaces(app, 'star1');
    await pageOfLetters(app, { state: 'dead', errorCode: 70402 }, 100, null);
    await summarizeLetters(app);
  });
  await take('dry run of all letters', async () => {
    const span = deathSpan({ state: 'dead' }, Date.now());
    for await (const _ of previewLetters(app, {}, span, false));
  });
  await take(`${USERS} users redriven and imported`, async () => {
    for (let from = 0; from < USERS; from += 100) {
      const users = Array.from({ length: 100 }, (_, i) => `user-${from + i}`);
      const commands = { batchCommand: 'multiaccount_import', singleCommand: 'account_import' } as const;
      const flags = { by: 'chaos', maxOpenCalls: 100, dryRun: false, early: false, invalid: false };
      const { calls } = await redriveUsers(app, { users, ...commands, ...flags });
      for (const { callId } of calls) await driver.run(callId);
    }
  });
  await take(
    'the calls of the users with parked events settle, until nothing of theirs is left',
    async () => {
      while ((await client.hlen(keys.parkedCounts)) > 0) await runOpen();
    },
  );
  await take(`${USERS} users forgotten, with one letter each`, async () => {
    for (let i = USERS; i < 2 * USERS; i++)
      await takeOut(app, { userId: `user-${i}`, run: 'chaos', landingMs: 4_000, dryRun: false });
    const eventIds: string[] = [];
    for await (const { eventId } of listDeadLetters(app, { state: 'dead', limit: USERS }))
      eventIds.push(eventId);
    await deleteMeant(app, { eventIds });
  });
  await take('one user forgotten, with all places read', () =>
    forgetUser({ ...app, userId: 'w7', dryRun: false, maxWaitMs: 0, sleep: async () => undefined }),
  );
  await take(`${CUTS} calls cut and settled behind all this`, async () => {
    for (let i = 0; i < CUTS; i++) for (const { callId } of await driver.cut()) await driver.run(callId);
  });
  return booksProblems(client, keys);
}

const keys = keysOf(1_400_000_000);
const server = await startRedis([
  ...['--appendonly', 'no', '--slowlog-log-slower-than', String(LOGGED_MICROS)],
  ...['--slowlog-max-len', '100000'],
]);
const client = openRedis(server.settings, 'loop', 'chaos', () => undefined);
try {
  say(
    '| step | took | longest commands by the slowlog | above 10 ms | scripts | CPU of each | most moved by one | load |',
  );
  say('|---|---|---|---|---|---|---|---|');
  const problems = await play(client, keys);
  for (const problem of problems) say(problem);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  await closeRedis(client);
  await server.stop();
}
