import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredLetter } from '../../src/ledger/letters/dead-letters.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { audit, booksProblems } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type ImsyncProcess, imsync, imsyncRun } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { CALM_SCENARIO, GONE, isBad, makeSignups, SCENARIO, SEED, type Signup } from '../support/signups.ts';
import { type SimulateProcess, startSimulate } from '../support/simulate.ts';
import { callUrl, postJson, TEST_APP } from '../support/simulator.ts';
import { drained, endAll, workerEnv } from '../support/stage.ts';

const EVENTS = 5_000;
const WAVE = 100;
/** They come one at a time, after all others. */
const LAST = 100;
const QUOTA = 40;
const CHANNEL = 'outcomes-of-the-test';
const keys = keysOf(TEST_APP.sdkAppId);

interface Outcome {
  readonly eventId: string;
  readonly userId: string;
  readonly outcome: 'imported' | 'superseded' | 'dead-lettered';
  readonly errorCode: number;
}

const processes: ImsyncProcess[] = [];
let redis: TestRedis;
let client: RedisClient;
let listener: RedisClient;
let simulate: SimulateProcess;

beforeAll(async () => {
  redis = await startRedis();
  client = openRedis(redis.settings, 'loop', 'test', () => undefined);
  listener = openRedis(redis.settings, 'loop', 'test-listener', () => undefined);
  simulate = await startSimulate(['--seed', String(SEED), '--quota', `multiaccount_import=${QUOTA}`]);
  processes.push(simulate.process);
}, 120_000);

afterAll(async () => {
  await endAll(processes);
  await Promise.all([closeRedis(client), closeRedis(listener)]);
  await redis.stop();
}, 120_000);

test('5,000 signups, faults of every kind, a worker killed: every event is accounted for', async () => {
  const env = {
    ...workerEnv(redis.url, simulate.url),
    // Small calls and a small quota, so that the quota is what holds them back, even on a busy machine.
    IMSYNC_BATCH_MAX_SIZE: '16',
    IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(QUOTA),
    // 20 ms of slack in a second, not 10: here more processes want the processor than there are cores, and one
    // that is put aside between its last look at the clock and the socket is nobody's fault.
    IMSYNC_QUOTA_MARGIN: '0.02',
  };
  const startWorker = async (): Promise<ImsyncProcess> => {
    const worker = imsync(['worker'], env);
    processes.push(worker);
    await worker.line('worker started');
    return worker;
  };

  // Accounts that existed and were deleted.
  await postJson(callUrl(simulate.url, 'multiaccount_import'), {
    AccountList: GONE.map((UserID) => ({ UserID })),
  });
  await simulate.deleteAccounts(GONE);
  await simulate.setFaults(SCENARIO);

  const outcomes: Outcome[] = [];
  listener.on('message', (_channel: string, message: string) =>
    outcomes.push(JSON.parse(message) as Outcome),
  );
  await listener.subscribe(CHANNEL);

  // The books are looked at all the time, on a connection of their own.
  const sampling = startSampling();

  const [first] = await Promise.all([startWorker(), startWorker()]);
  const signups = makeSignups(EVENTS);
  const ids: string[] = [];
  for (let from = 0; from < EVENTS - LAST; from += WAVE) {
    ids.push(...(await push(signups.slice(from, from + WAVE))));
    // Not all at once: newer events are to meet calls of their users at every stage.
    await eventually('room for the next wave', async () => (await unsettled()) < 12 * WAVE, 60_000);
    if (ids.length === EVENTS / 2) {
      await eventually('calls on the wire', async () =>
        (await simulate.calls()).some(({ outcome }) => outcome === 'pending'),
      );
      first.signal('SIGKILL');
      await startWorker();
    }
  }
  // The last few would wait for one another's retries longest.
  await eventually('nearly all is done', async () => (await onTheirWay()) < 60, 120_000);
  await simulate.setFaults(CALM_SCENARIO);
  // Signups go on: where nobody passes any more, what follows one user cannot be told from what everybody gets.
  for (const signup of signups.slice(EVENTS - LAST)) {
    ids.push(...(await push([signup])));
    await sleep(300);
  }
  await drained({ client, keys }, 120_000);
  await eventually('no job is left', async () => {
    const { calls } = await status(env);
    return Object.values(calls).every((c) => c.waiting + c.active + c.delayed + c.users === 0);
  });
  const samples = await sampling.stop();

  // The books.
  expect(samples.problems).toEqual([]);
  expect(samples.taken).toBeGreaterThan(50);
  expect((await audit(client, keys)).problems).toEqual([]);
  const books = await readTotals(client, keys);
  expect(books.accepted).toBe(EVENTS);
  expect(books.imported + books.superseded + books.deadLettered).toBe(EVENTS);

  // Each single event, by what was said of it.
  const said = new Map<string, Outcome[]>();
  for (const outcome of outcomes) said.set(outcome.eventId, [...(said.get(outcome.eventId) ?? []), outcome]);
  const letters = await deadLetters(env);
  const fates = signups.map((signup, i) => ({ ...signup, eventId: ids[i] ?? '' }));
  const wrong: string[] = [];
  for (const { eventId, fate, fields } of fates) {
    const words = (said.get(eventId) ?? []).map(({ outcome }) => outcome);
    // Everybody is told, once, unless the channel itself is what does not hold up.
    const expected = fields.includes('replyTo') ? 0 : 1;
    if (words.length !== expected) wrong.push(`${eventId} was told of ${words.length} times: ${words}`);
    if (fate === null && words.includes('dead-lettered'))
      wrong.push(`${eventId} is dead: ${fields.join(' ')}`);
  }
  expect(wrong).toEqual([]);
  const told = (word: Outcome['outcome']): number =>
    outcomes.filter(({ outcome }) => outcome === word).length;
  const resolved = await client.zcard(keys.deadResolved);
  expect(told('imported')).toBe(books.imported);
  expect(told('superseded') + resolved).toBe(books.superseded);

  // Exactly the right ones are dead-lettered: those that nothing newer of their user made up for.
  const newest = new Map<string, (typeof fates)[number]>();
  for (const signup of fates) if (signup.fate === null) newest.set(signup.userId, signup);
  const dead = fates.filter(({ userId, fate }, i) => {
    const good = newest.get(userId);
    return fate !== null && (good === undefined || fates.indexOf(good) < i);
  });
  expect(summary(letters)).toEqual(
    dead.map(({ eventId, fate }) => `${eventId} ${fate?.reason} ${fate?.errorCode}`).sort(),
  );
  expect(letters.length).toBe(books.deadLettered);
  for (const letter of letters) {
    if (letter.errorCode === 70399) expect(letter.notBefore).toBeGreaterThan(Date.now() + 89 * 86_400_000);
    if (letter.reason === 'rejected' || letter.reason === 'unknown') expect(letter.attempts).not.toEqual([]);
    if (letter.reason === 'invalid') expect(letter.errorInfo).not.toBe('');
  }
  const codes = new Set(letters.map(({ errorCode }) => errorCode));
  expect([...codes].sort()).toEqual([0, 40005, 40601, 70399, 70402, 79999]);

  // No profile is stale, nobody is missing, nobody is there who must not be.
  const accounts = await simulate.accounts();
  const profiles = [...accounts.values()].map(({ userId, nick, faceUrl }) => [userId, nick, faceUrl]);
  const bare = fates.filter(({ userId, fate }) => fate?.reason === 'profile' && !newest.has(userId));
  expect(profiles.sort()).toEqual(
    [
      ...[...newest.values()].map(({ userId, nick, faceUrl }) => [userId, nick, faceUrl]),
      ...[...new Set(bare.map(({ userId }) => userId))].map((userId) => [userId, undefined, undefined]),
    ].sort(),
  );
  expect([...accounts.keys()].some(isBad)).toBe(false);

  // What the API saw.
  const { commands } = await simulate.report();
  const { multiaccount_import: batch, account_import: single } = commands;
  expect(batch?.maxSurelyInRollingSecond).toBeLessThanOrEqual(QUOTA);
  expect(single?.maxSurelyInRollingSecond).toBeLessThanOrEqual(200);
  expect(batch?.duplicatesInACall).toBe(0);
  for (const code of [70169, 70202, 70500, 40006]) expect(batch?.byErrorCode[code]).toBeGreaterThan(0);
}, 240_000);

async function unsettled(): Promise<number> {
  const { waiting, parked } = await readTotals(client, keys);
  return waiting + parked;
}

async function onTheirWay(): Promise<number> {
  const { usersInCalls } = await readTotals(client, keys);
  return (await unsettled()) + Object.values(usersInCalls).reduce((sum, n) => sum + n, 0);
}

async function push(signups: readonly Signup[]): Promise<string[]> {
  const pipeline = client.pipeline();
  for (const { fields } of signups) pipeline.xadd(keys.stream, '*', 'replyTo', CHANNEL, ...fields);
  return ((await pipeline.exec()) ?? []).map(([error, id]) => {
    if (error) throw error;
    return String(id);
  });
}

/** Looks at the books over and over until it is stopped. */
function startSampling(): { stop(): Promise<{ taken: number; problems: string[] }> } {
  const eyes = openRedis(redis.settings, 'loop', 'test-books', () => undefined);
  const problems: string[] = [];
  let taken = 0;
  let going = true;
  const looking = (async () => {
    while (going) {
      problems.push(...(await booksProblems(eyes, keys)));
      taken++;
      await sleep(10);
    }
  })();
  return {
    async stop() {
      going = false;
      await looking;
      await closeRedis(eyes);
      return { taken, problems };
    },
  };
}

type Calls = Record<string, Record<'waiting' | 'active' | 'delayed' | 'users', number>>;

async function status(env: Readonly<Record<string, string>>): Promise<{ calls: Calls }> {
  const { stdout } = await imsyncRun(['status', '--json'], env);
  return JSON.parse(stdout) as { calls: Calls };
}

async function deadLetters(env: Readonly<Record<string, string>>): Promise<StoredLetter[]> {
  const { code, stdout } = await imsyncRun(['dlq', 'list', '--json'], env);
  expect(code).toBe(0);
  return stdout.split('\n').map((line) => JSON.parse(line) as StoredLetter);
}

function summary(letters: readonly StoredLetter[]): string[] {
  return letters.map(({ eventId, reason, errorCode }) => `${eventId} ${reason} ${errorCode}`).sort();
}
