import { compareEventIds } from '../../src/event/event.ts';
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
}, 120_000);
afterAll(async () => {
  await producer.close();
  await redis.stop();
}, 120_000);

const stored = async (): Promise<[string, string[]][]> => {
  const client = openRedis(redis.settings, 'loop', 'test', () => undefined);
  const entries = await client.xrange(keys.stream, '-', '+');
  await closeRedis(client);
  return entries;
};

test('adds users and lists of users in order and refuses invalid ones', async () => {
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
}, 120_000);

test('a robot is refused if the given API form has no Type, and passes if no form is given', async () => {
  const robot = { userId: '@RBT#1', type: 1 as const };
  const options = { sdkAppId: 7, redis: { url: redis.url } };
  for (const api of ['current', 'hosted'] as const) {
    const told = new UserCreatedProducer({ ...options, api });
    const hosted = { ...robot, userId: 'robot', identifierType: 3 as const, password: 'pas122333' };
    const accepted = await told.addMany([api === 'hosted' ? hosted : robot]);
    expect(accepted).toMatchObject([
      { ok: false, error: { problems: [expect.stringMatching(/no Type.*own call for robots/)] } },
    ]);
    await told.close();
  }
  const older = new UserCreatedProducer({ ...options, hosted: true });
  const bare = await older.addMany([{ userId: 'robot' }]);
  expect(bare).toMatchObject([
    { ok: false, error: { problems: [expect.stringMatching(/identifierType/), expect.anything()] } },
  ]);
  await older.close();
  const before = (await stored()).length;
  const legacy = new UserCreatedProducer({ ...options, api: 'legacy' });
  await legacy.add(robot);
  await legacy.close();
  const eventId = await producer.add(robot);
  expect((await stored()).slice(before + 1)).toEqual([[eventId, ['userId', '@RBT#1', 'type', '1']]]);
}, 120_000);

test('a user that is no object or has a known field in extra does not affect the others', async () => {
  const before = (await stored()).length;
  const users = [null, { userId: 'x1', extra: { nick: 'y' } }, { userId: 'x2' }, 'text', { userId: 'x3' }];
  const accepted = await producer.addMany(users as never);
  expect(accepted.map(({ ok }) => ok)).toEqual([false, false, true, false, true]);
  expect((await stored()).length).toBe(before + 2);
}, 120_000);

test('fails at once while Redis is away and works again when it is back', async () => {
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
}, 120_000);

test('names the error of a Redis that refuses', async () => {
  const client = openRedis(redis.settings, 'loop', 'test', () => undefined);
  await client.config('SET', 'maxmemory', '1');
  await expect(producer.add({ userId: 'carol' })).rejects.toThrow(/Redis did not take the event: OOM/);
  await client.config('SET', 'maxmemory', '0');
  await expect(producer.add({ userId: 'carol' })).resolves.toMatch(/^\d+-\d+$/);
  await closeRedis(client);
}, 120_000);

describe('a list', () => {
  const client = () => openRedis(redis.settings, 'loop', 'test', () => undefined);
  const listOf = (prefix: string, count: number, more: object = {}) =>
    Array.from({ length: count }, (_, i) => ({ userId: `${prefix}${i}`, ...more }));

  test('is stored exactly as single users are, for any text', async () => {
    const texts = [
      'Zoë 名前 👩‍👩‍👧',
      'line\nfeed\0\u2028"quoted"\\ud83d',
      '\\ud800',
      'half \ud800 a pair',
      ' ',
      '1e999',
    ];
    const users = texts.map((text, i) => ({ userId: `odd${i}`, extra: { text, [text]: 'name' } }));
    for (const user of users) await producer.add(user);
    const alone = (await stored()).slice(-users.length).map(([, fields]) => fields);
    const list = [...users, ...users];
    expect((await producer.addMany(list)).every(({ ok }) => ok)).toBe(true);
    const together = (await stored()).slice(-list.length).map(([, fields]) => fields);
    expect(together).toEqual([...alone, ...alone]);
  }, 120_000);

  test('is refused as a whole by a full Redis', async () => {
    const admin = client();
    const before = (await stored()).length;
    await admin.config('SET', 'maxmemory', '1');
    const refused = await producer.addMany(listOf('full', 600));
    await admin.config('SET', 'maxmemory', '0');
    const [text] = new Set(refused.map((one) => (one.ok ? 'taken' : one.error.message)));
    expect(text).toBe(
      "Redis did not take the event: OOM command not allowed when used memory > 'maxmemory'. Try again; a repeat does no harm.",
    );
    expect(refused.filter(({ ok }) => ok)).toEqual([]);
    expect((await stored()).length).toBe(before);
    await closeRedis(admin);
  }, 120_000);

  test('needs no right but those of docs/security.md', async () => {
    const admin = client();
    await admin.call(
      'ACL',
      ...['SETUSER', 'backend', 'on', '>secret', 'resetkeys', `~${keys.stream}`, 'resetchannels'],
      ...['-@all', '+info', '+ping', '+quit', '+client|setname', '+xadd'],
    );
    const poor = new UserCreatedProducer({
      sdkAppId: 7,
      redis: { url: redis.url.replace('//', '//backend:secret@') },
    });
    const accepted = await poor.addMany(listOf('plain', 300));
    expect(accepted.filter(({ ok }) => !ok)).toEqual([]);
    expect((await stored()).slice(-300).map(([, fields]) => fields[1])).toEqual(
      listOf('plain', 300).map(({ userId }) => userId),
    );
    await poor.close();
    await closeRedis(admin);
  }, 120_000);

  test('keeps its order with users that are added after it without waiting', async () => {
    const hasty = new UserCreatedProducer({ sdkAppId: 7, redis: { url: redis.url } });
    const asked = [
      hasty.addMany(listOf('old', 500)),
      hasty.addMany([{ userId: 'old499', nick: 'newer' }]),
      hasty.addMany(listOf('new', 20)),
    ];
    const ids = (await Promise.all(asked)).flat().map((one) => (one.ok ? one.eventId : 'refused'));
    expect(ids).toEqual([...ids].sort((a, b) => compareEventIds(a, b)));
    await hasty.close();
  }, 120_000);
});

test('an invalid app ID is refused at once', () => {
  for (const sdkAppId of [0, -1, 1.5, Number.NaN]) {
    expect(() => new UserCreatedProducer({ sdkAppId })).toThrow(RangeError);
  }
});
