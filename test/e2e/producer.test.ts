import { InvalidUserError, NotAcceptedError, UserCreatedProducer } from '../../src/index.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

const keys = keysOf(7);
let redis: TestRedis;
let producer: UserCreatedProducer;
const changes: string[] = [];

beforeAll(async () => {
  redis = await startRedis();
  producer = new UserCreatedProducer({
    sdkAppId: 7,
    redis: { url: redis.url },
    onConnection: (state) => changes.push(state),
  });
}, 60_000);
afterAll(async () => {
  await producer.close();
  await redis.stop();
}, 60_000);

const stored = async (): Promise<[string, string[]][]> => {
  const client = openRedis(redis.settings, 'loop', 'test', () => undefined);
  const entries = await client.xrange(keys.stream, '-', '+');
  await closeRedis(client);
  return entries;
};

test('adds users and lists of them, in order, and keeps out what does not hold up', async () => {
  const first = await producer.add({ userId: 'alice', nick: 'Alice', extra: { colour: 'green' } });
  await expect(producer.add({ userId: '' })).rejects.toThrow(InvalidUserError);
  await expect(producer.add({ userId: 'a'.repeat(33), type: 2 as 1 })).rejects.toMatchObject({
    problems: [expect.stringContaining('33 bytes'), expect.stringContaining('type')],
  });
  const users = Array.from({ length: 2_500 }, (_, i) => ({ userId: i === 1_200 ? 'not ok' : `u${i}` }));
  const accepted = await producer.addMany(users);
  expect(accepted).toHaveLength(2_500);
  expect(accepted[1_200]).toMatchObject({ ok: false, error: { name: 'InvalidUserError' } });

  const entries = await stored();
  expect(entries[0]).toEqual([first, ['userId', 'alice', 'nick', 'Alice', 'colour', 'green']]);
  const given = accepted.flatMap((one, i) => (one.ok ? [[one.eventId, ['userId', `u${i}`]]] : []));
  expect(entries.slice(1)).toEqual(given);
  await expect(producer.addMany([])).resolves.toEqual([]);
}, 60_000);

test('a user that is no object, or holds a field of ours in extra, keeps none of the others back', async () => {
  const before = (await stored()).length;
  const users = [null, { userId: 'x1', extra: { nick: 'y' } }, { userId: 'x2' }, 'text', { userId: 'x3' }];
  const accepted = await producer.addMany(users as never);
  expect(accepted.map(({ ok }) => ok)).toEqual([false, false, true, false, true]);
  expect((await stored()).length).toBe(before + 2);
}, 60_000);

test('fails at once while Redis is away, and goes on when it is back', async () => {
  await redis.shutdown();
  await eventually('the loss is noticed', () => changes.includes('lost'));
  const failed = await producer.addMany([{ userId: 'bob' }, { userId: '' }]);
  expect(failed.map((one) => !one.ok && one.error.constructor)).toEqual([NotAcceptedError, InvalidUserError]);
  await expect(producer.add({ userId: 'bob' })).rejects.toThrow(
    /^Redis did not take the event: .*Try again; a repeat does no harm\.$/,
  );

  await redis.restart();
  const eventId = await eventually('an event is taken again', () =>
    producer.add({ userId: 'bob' }).catch(() => undefined),
  );
  expect((await stored()).at(-1)).toEqual([eventId, ['userId', 'bob']]);
  expect(changes).toEqual(['reachable', 'lost', 'reachable']);
}, 60_000);

test('says what Redis said when it refuses', async () => {
  const client = openRedis(redis.settings, 'loop', 'test', () => undefined);
  await client.config('SET', 'maxmemory', '1');
  await expect(producer.add({ userId: 'carol' })).rejects.toThrow(/Redis did not take the event: OOM/);
  await client.config('SET', 'maxmemory', '0');
  await expect(producer.add({ userId: 'carol' })).resolves.toMatch(/^\d+-\d+$/);
  await closeRedis(client);
}, 60_000);

test('an app ID that is none is refused at once', () => {
  for (const sdkAppId of [0, -1, 1.5, Number.NaN]) {
    expect(() => new UserCreatedProducer({ sdkAppId })).toThrow(RangeError);
  }
});
