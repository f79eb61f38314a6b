import { createHoldState } from '../../src/hold/hold-state.ts';
import { readBands } from '../../src/ops/history/bands.ts';
import { FleetCounts } from '../../src/ops/history/fleet-counts.ts';
import { importedLastMinute, readHistory } from '../../src/ops/history/read-history.ts';
import { readWorkerSettings, startPresence } from '../../src/ops/presence.ts';
import { closeRedis, openRedis, type RedisClient, whenReady } from '../../src/redis/connect.ts';
import { type Keys, keysOf } from '../../src/redis/keys.ts';
import { fieldsOf } from '../../src/redis/script.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

/** The history that signs of life keep: its points, how they are merged and bounded, and its bands. */

let server: TestRedis;
let redis: RedisClient;
let app = 100;
let keys: Keys;
const signers: ReturnType<typeof startPresence>[] = [];
const troubles: string[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.settings, 'loop', 'test', () => undefined);
  await whenReady(redis, 10_000);
}, 30_000);
beforeEach(() => {
  keys = keysOf(app++);
  troubles.splice(0);
});
afterEach(async () => {
  await Promise.all(signers.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await closeRedis(redis);
  await server.stop();
});

/** A worker's signs of life, without the worker. */
function signs(id: string, counts = new FleetCounts(), settings = {}) {
  const presence = startPresence({
    ...{ redis, keys, id, version: '1', intakeUrl: undefined, oddEvents: {} },
    news: { counts, pace: () => ({ command: 'multiaccount_import', rate: 99, quota: 100 }), settings },
    onForgotten: () => undefined,
    alongside: async () => undefined,
    onClock: () => undefined,
    onTrouble: ({ message }) => void troubles.push(message),
  });
  signers.push(presence);
  return presence;
}

/** Writes the last point back in time, so that the next sign begins a new step. */
async function age(stream: string, ms: number): Promise<void> {
  const [entry] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  const point = fieldsOf(entry?.[1] ?? []);
  if (entry !== undefined) await redis.xdel(stream, entry[0]);
  await redis.xadd(stream, '*', ...Object.entries({ ...point, at: String(Date.now() - ms) }).flat());
}

async function points(stream: string): Promise<Readonly<Record<string, string>>[]> {
  return (await redis.xrange(stream, '-', '+')).map(([, flat]) => fieldsOf(flat));
}

test('one point a step, whoever signs, with what all of them counted', async () => {
  const [first, second] = [new FleetCounts(), new FleetCounts()];
  const one = signs('one', first);
  await eventually('the first point', async () => (await points(keys.historySeconds)).length === 1);
  await age(keys.historySeconds, 60_000);
  first.giveBack({ calls: 3, 'error:70003': 1 });
  second.giveBack({ calls: 4, 'ms:10': 7 });
  await redis.hset(keys.books, { taken: 10, imported: 8, superseded: 1, dead: 1 });
  await redis.hset(keys.deadCounts, { 'reason:invalid': 1, 'reason:expired': 0, 'code:0': 1 });
  await redis.xadd(keys.stream, '*', 'userId', 'a');
  const before = await redis.hlen(keys.historyNow);
  expect(before).toBe(0);
  // The second one's first sign writes the point; the counts of the other come with the next.
  signs('two', second);
  const point = await eventually('the second point', async () => (await points(keys.historySeconds))[1]);
  expect(point).toMatchObject({
    ...{ accepted: '11', imported: '8', superseded: '1', dead: '1', waiting: '1', workers: '2' },
    ...{ rate: '99', quota: '100', 'reason:invalid': '1', 'n:calls': '4', 'n:ms:10': '7' },
  });
  expect(point['reason:expired']).toBeUndefined();
  one.signNow();
  await eventually(
    'the other counts wait for the next point',
    async () => (await redis.hget(keys.historyNow, 'n:calls')) === '3',
  );
  expect(await points(keys.historySeconds)).toHaveLength(2);
  expect(troubles).toEqual([]);
});

test('fine points are merged: counts add up, the greatest backlog and the lowest rate stay', async () => {
  const at = (ago: number): string => String(Date.now() - ago);
  const fine = [
    {
      at: at(50_000),
      accepted: '1',
      waiting: '900',
      oldest: '5',
      rate: '99',
      'n:calls': '2',
      'reason:expired': '4',
    },
    {
      at: at(40_000),
      accepted: '2',
      waiting: '5',
      oldest: '80',
      rate: '40',
      'n:calls': '3',
      'n:error:x': '1',
    },
    { at: at(11_000), accepted: '3', waiting: '7', oldest: '6', rate: '99', 'n:calls': '4' },
  ];
  for (const point of fine) await redis.xadd(keys.historySeconds, '*', ...Object.entries(point).flat());
  await redis.xadd(keys.historyMinutes, '*', 'at', at(120_000), 'accepted', '0');
  await redis.xadd(keys.historyTens, '*', 'at', at(1), 'accepted', '0');
  signs('one');
  const merged = await eventually('a point of a minute', async () => (await points(keys.historyMinutes))[1]);
  expect(merged).toMatchObject({
    ...{ accepted: '0', waiting: '900', oldest: '80', rate: '40', 'n:calls': '9', 'n:error:x': '1' },
  });
  // The reason has no letter any more.
  expect(merged['reason:expired']).toBeUndefined();
});

test('the streams are bounded and expire, and hold no more bytes a day than the documents say', async () => {
  const counts = new FleetCounts();
  const presence = signs('one', counts);
  await eventually('the first point', async () => (await points(keys.historySeconds)).length === 1);
  for (let i = 0; i < 120; i++)
    await redis.xadd(keys.historySeconds, '*', 'at', String(Date.now() - 60_000), 'accepted', String(i));
  presence.signNow();
  await eventually('it is cut', async () => (await redis.xlen(keys.historySeconds)) === 92);
  await redis.del(keys.historyMinutes);
  await age(keys.historySeconds, 20_000);
  presence.signNow();
  await eventually('it expires', async () => (await redis.pttl(keys.historySeconds)) > 0);
  const busy = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`ms:${i + 10}`, 12_345]));
  counts.giveBack({ ...busy, calls: 1_000, 'error:70003': 10, 'error:http-5xx': 3 });
  await age(keys.historySeconds, 20_000);
  presence.signNow();
  const fat = await eventually('a point of a busy fleet', async () =>
    (await points(keys.historySeconds)).find((point) => point['n:ms:20'] !== undefined),
  );
  expect(JSON.stringify(fat).length).toBeLessThan(1_000);
});

test('a hold and a pause are bands from their beginning to their end, also one that was short', async () => {
  const hold = createHoldState(redis, keys);
  const presence = signs('one');
  await hold.pause('a deploy', 1_000, 'ann');
  presence.signNow();
  const [open] = await eventually('the pause is seen', async () => {
    const bands = await readBands({ redis, keys });
    return bands.length === 1 && bands;
  });
  expect(open).toEqual({ kind: 'pause', from: 1_000, to: null, values: { by: 'ann', reason: 'a deploy' } });
  await hold.resume();
  await redis.hset(keys.hold, {
    held: JSON.stringify({ kind: 'region', errorCode: 70020, errorInfo: 'no' }),
    heldSince: '2000',
  });
  presence.signNow();
  await eventually('the hold is seen', async () => (await redis.hget(keys.openBands, 'hold')) !== null);
  await redis.hdel(keys.hold, 'held', 'heldSince');
  await redis.hset(keys.hold, { clearedAt: '2500' });
  await redis.hset(`${keys.pacePrefix}multiaccount_import`, {
    cutAt: '3000000',
    cutSince: '3000000',
    cutBase: '50',
  });
  presence.signNow();
  const bands = await eventually('it has ended', async () => {
    const all = await readBands({ redis, keys });
    return all.length === 3 && all;
  });
  expect(bands).toEqual([
    { kind: 'pause', from: 1_000, to: expect.any(Number), values: { by: 'ann', reason: 'a deploy' } },
    { kind: 'hold', from: 2_000, to: 2_500, values: { kind: 'region', errorCode: 70020, errorInfo: 'no' } },
    { kind: 'throttle', from: 3_000, to: null, values: { command: 'multiaccount_import', lowestRate: 50 } },
  ]);
  // Only those that reach into the span.
  expect((await readHistory({ redis, keys }, '15m')).bands).toEqual([bands[0], bands[2]]);
});

test('a history that cannot be kept is reported, and the worker is still seen', async () => {
  await redis.set(keys.historySeconds, 'no stream');
  signs('one');
  await eventually('it is reported', () =>
    troubles.some((text) => /the history could not be kept: .*WRONGTYPE/.test(text)),
  );
  expect(await redis.hexists(keys.workers, 'one')).toBe(1);
});

test('settings are told once, and go with the worker', async () => {
  const presence = signs('one', new FleetCounts(), { 'batch.maxSize': '7' });
  await eventually(
    'they are told',
    async () => (await readWorkerSettings({ redis, keys })).get('one')?.['batch.maxSize'] === '7',
  );
  await presence.close();
  expect(await redis.exists(keys.workerSettings)).toBe(0);
});

test('the last minute is what was imported in it, however few points there are', async () => {
  const at = (ago: number): string => String(Date.now() - ago);
  for (const [ago, imported] of [
    [130_000, 0],
    [25_000, 1_050],
    [15_000, 1_250],
    [5_000, 1_350],
  ] as const)
    await redis.xadd(keys.historySeconds, '*', 'at', at(ago), 'imported', String(imported));
  // 100 a step over the gap, of which one step is in the minute; then 200 and 100.
  expect(await importedLastMinute({ redis, keys })).toBe(400);
});
