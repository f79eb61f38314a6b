import { type CommandWatch, watchCommands } from '../../bench/stage/watch-commands.ts';
import type { CallReport } from '../../src/delivery/delivery-options.ts';
import type { Settlement } from '../../src/ledger/settle.ts';
import { type Feed, startFeed } from '../../src/ops/feed/feed.ts';
import { type FeedBatch, LEASE_MS, type Wanted } from '../../src/ops/feed/record.ts';
import { type FeedWatch, watchFeed } from '../../src/ops/feed/watch-feed.ts';
import { closeRedis, listenOn, openRedis, type RedisClient } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** Workers publish while somebody watches, no call waits for it, and it stays bounded. */

const keys = keysOf(7);
const everything: Wanted = { calls: true, outcomes: ['imported', 'dead-lettered'], answers: [], userId: '' };
let server: TestRedis;
let watch: CommandWatch;
const open: RedisClient[] = [];
const feeds: Feed[] = [];
const watches: FeedWatch[] = [];

beforeEach(async () => {
  server = await startRedis();
  watch = await watchCommands(await connected('oneshot'), server.port);
});
afterEach(async () => {
  watch.close();
  for (const feed of feeds.splice(0)) feed.close();
  for (const feed of watches.splice(0)) await feed.close();
  await Promise.all(open.splice(0).map(closeRedis));
  await server.stop();
});

async function connected(role: 'loop' | 'oneshot'): Promise<RedisClient> {
  const client = openRedis(server.settings, role, 'test', () => undefined);
  open.push(client);
  await eventually('connected', () => client.status === 'ready');
  return client;
}

async function worker(id: string): Promise<Feed> {
  const subscriber = await connected('loop');
  await listenOn(subscriber, keys.holdChannel);
  const onTrouble = (error: Error): void => {
    throw error;
  };
  const redis = await connected('oneshot');
  const feed = startFeed({
    connections: { watch: subscriber, ops: redis },
    keys,
    id,
    version: '9.9.9',
    onTrouble,
  });
  feeds.push(feed);
  await eventually('it listens', async () => {
    const [, count] = (await redis.pubsub('NUMSUB', keys.feedRequests)) as [string, number];
    return Number(count) === feeds.length;
  });
  return feed;
}

async function watcher(wanted: Wanted = everything) {
  const batches: FeedBatch[] = [];
  const feed = await watchFeed({
    ...{ subscriber: await connected('loop'), redis: await connected('oneshot'), keys, wanted },
    onBatch: (batch) => batches.push(batch),
  });
  watches.push(feed);
  await eventually('all workers answer', () => new Set(batches.map((b) => b.worker)).size === feeds.length);
  const records = () => batches.flatMap((batch) => batch.records);
  const leftOut = () => batches.reduce((sum, batch) => sum + batch.leftOut, 0);
  return { ...feed, records, leftOut };
}

const called = (userIds: readonly string[]): CallReport => ({
  ...{ callId: 'c', slotClass: 'live', tries: 0, failAccounts: [], failed: 0, durationMs: 44.6 },
  request: { command: 'multiaccount_import', users: userIds.map((userId) => ({ userId })) } as never,
  answer: { kind: 'api' } as never,
  verdict: {
    ...{ class: 'retry', meaning: 'm', errorCode: 70500, httpStatus: 200, outcomeKnown: true },
    errorInfo: 'user-alice is unknown to us',
  } as CallReport['verdict'],
  decision: undefined,
});
const settled = (feed: Feed, userId: string): void =>
  feed.report.settled(
    'c',
    {
      outcomes: [{ eventId: '1-0', userId, outcome: 'imported', errorCode: 0, hasAccount: true }],
    } as never as Settlement,
    { kind: 'settled', returned: 0, resolved: 0, nowMs: 1_700_000_000_000 },
  );
const published = (): number => watch.lines.filter(({ command }) => /^publish$/i.test(command)).length;

test('while nobody watches it sends Redis nothing', async () => {
  const feed = await worker('a');
  await watch.clear();
  for (let i = 0; i < 1_000; i++) {
    feed.report.called(called(['user-alice']));
    settled(feed, 'user-alice');
  }
  await watch.caughtUp();
  expect(watch.lines.filter(({ command }) => !/^echo$/i.test(command))).toEqual([]);
});

test('a watcher hears of all workers: of calls without their users, and of outcomes', async () => {
  const [a, b] = [await worker('a'), await worker('b')];
  a.clockIsAhead(3_600_000);
  const seen = await watcher();
  a.report.called(called(['user-alice', 'user-bob']));
  settled(b, 'user-alice');
  const records = await eventually('both', () => seen.records().length === 2 && seen.records());
  const call = records.find(({ kind }) => kind === 'call');
  expect(call).toEqual({
    ...{ kind: 'call', command: 'multiaccount_import', class: 'live', users: 2, tries: 0, answer: '70500' },
    ...{ errorInfo: '(user) is unknown to us', ms: 45, imported: 0, deadLettered: 0, later: 0, again: 2 },
    at: expect.any(Number),
  });
  // The worker's clock is an hour ahead of Redis's.
  expect(Math.abs((call?.at ?? 0) + 3_600_000 - Date.now())).toBeLessThan(60_000);
  expect(records.find(({ kind }) => kind === 'outcome')).toEqual({
    ...{ kind: 'outcome', at: 1_700_000_000_000, eventId: '1-0', userId: 'user-alice' },
    ...{ outcome: 'imported', errorCode: 0, hasAccount: true },
  });
  const senders = await eventually('who sends is known', () => seen.senders());
  expect(senders).toEqual(new Set(['a', 'b']));
});

test('what is filtered never leaves the worker, and each watcher has filters of its own', async () => {
  const feed = await worker('a');
  const bob = await watcher({ ...everything, userId: 'user-bob' });
  const code = await watcher({ ...everything, answers: ['70500'] });
  feed.report.called(called(['user-alice']));
  settled(feed, 'user-bob');
  await eventually('both heard', () => bob.records().length + code.records().length === 2);
  expect(bob.records()).toMatchObject([{ kind: 'outcome' }]);
  expect(code.records()).toMatchObject([{ kind: 'call' }]);
});

test('a flood is cut and counted, and goes out in a few messages', async () => {
  const feed = await worker('a');
  const seen = await watcher();
  const before = published();
  for (let i = 0; i < 20_000; i++) settled(feed, `u${i}`);
  await eventually('all is told', () => seen.records().length + seen.leftOut() === 20_000);
  expect(seen.records().length).toBeLessThanOrEqual(1_000);
  await watch.caughtUp();
  expect(published() - before).toBeLessThan(20);
});

test('a Redis that stands still delays no call and costs no memory', async () => {
  const feed = await worker('a');
  const seen = await watcher();
  process.kill(server.pid(), 'SIGSTOP');
  try {
    // A report is no promise: there is nothing that a call could wait for.
    for (let i = 0; i < 5_000; i++) expect(feed.report.called(called(['user-alice']))).toBeUndefined();
  } finally {
    process.kill(server.pid(), 'SIGCONT');
  }
  await eventually('all is told', () => seen.records().length + seen.leftOut() === 5_000);
  expect(seen.leftOut()).toBeGreaterThan(1_000);
});

test('it goes on when Redis comes back, and says what was lost', async () => {
  const feed = await worker('a');
  const seen = await watcher();
  await server.kill();
  feed.report.called(called(['user-alice']));
  await server.restart();
  await eventually('a call comes through', () => {
    feed.report.called(called(['user-bob']));
    return seen.records().length > 0;
  });
  await eventually('and the lost one is counted', () => seen.leftOut() > 0);
});

test('it ends when the watcher leaves, and soon after one that was killed', async () => {
  const feed = await worker('a');
  const leaving = await watcher();
  await leaving.close();
  await watch.clear();
  feed.report.called(called(['user-alice']));
  const dead = await watcher();
  expect(dead.records()).toEqual([]);
  // Its connections go; it says nothing any more.
  for (const client of open.splice(-2)) client.disconnect();
  const diedMs = performance.now();
  let last = -1;
  await eventually('nothing is published any more', async () => {
    feed.report.called(called(['user-alice']));
    await new Promise((resolve) => setTimeout(resolve, 400));
    await watch.caughtUp();
    const now = published();
    const isOver = now === last;
    last = now;
    return isOver;
  });
  expect(performance.now() - diedMs).toBeLessThan(LEASE_MS + 3_000);
}, 30_000);
