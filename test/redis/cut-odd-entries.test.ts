import { claimedUser, entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { settlementBy } from './settlements.ts';
import { callOf, callsOf, type Stage, user, users, useStages } from './stage.ts';

const fresh = useStages();

async function settleAll(stage: Stage): Promise<void> {
  for (const callId of await stage.redis.zrange(stage.keys.open, '0', '-1')) {
    const record = await stage.take(callId, 'r');
    await settleRecord(
      stage.redis,
      stage.keys,
      callId,
      'r',
      settlementBy(record, () => 'import'),
    );
  }
}

const malformed: [what: string, fields: (string | Buffer)[]][] = [
  ['no userId', ['nick', 'Ann']],
  ['an empty userId', ['userId', '']],
  ['a userId of 33 bytes', ['userId', 'u'.repeat(33)]],
  ['a binary userId', ['userId', Buffer.from([0x61, 0x00, 0xff, 0xc3, 0x28])]],
  ['a userId in Chinese', ['userId', '用户']],
  ['a userId with a space', ['userId', 'an n']],
  ['a userId with a newline', ['userId', 'ann\n']],
  ['a second userId that does not hold up', ['userId', 'ann', 'userId', '']],
  ['binary field names and values', [Buffer.from([0xff, 0xfe]), Buffer.from([0x80, 0x00, 0x22, 0x5c])]],
];

test.each(malformed)(
  'an entry with %s owns nobody, travels along and is dead-lettered',
  async (_, fields) => {
    const stage = fresh();
    await stage.add(user('ann'), fields, user('bob'), fields);
    const call = callOf(await stage.cut());
    expect(call.users).toBe(4);
    expect(await stage.redis.hgetall(stage.keys.owners)).toEqual({ ann: call.callId, bob: call.callId });
    const record = await stage.take(call.callId, 'look');
    expect(entriesOf(record).map(({ fields: own }) => claimedUser(own))).toEqual(['ann', '', 'bob', '']);
    expect(await stage.problems()).toEqual([]);
    await settleAll(stage);
    expect(await stage.problems()).toEqual([]);
    expect(await stage.redis.hgetall(stage.keys.books)).toMatchObject({ imported: '2', dead: '2' });
  },
);

test('a call of nothing but malformed entries', async () => {
  const stage = fresh();
  await stage.add(...Array.from({ length: 150 }, () => ['nick', 'nobody']));
  expect((await stage.cutAll()).map(({ users: n }) => n)).toEqual([100, 50]);
  expect(await stage.redis.exists(stage.keys.owners)).toBe(0);
  expect(await stage.problems()).toEqual([]);
});

test('32 bytes of every printable character but the space are an ID', async () => {
  const stage = fresh();
  const ids = [
    '!"#$%&\'()*+,-./0123456789:;<=>?@A',
    'BCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`ab',
    'cdefghijklmnopqrstuvwxyz{|}~',
  ];
  await stage.add(...ids.map((id) => user(id.slice(0, 32))));
  const { callId } = callOf(await stage.cut());
  expect(await stage.redis.hvals(stage.keys.owners)).toEqual([callId, callId, callId]);
  expect(await stage.problems()).toEqual([]);
});

test('an entry of 1 MB goes alone, those around it in calls of their own', async () => {
  const stage = fresh();
  const huge = 'x'.repeat(1024 * 1024);
  const ids = await stage.add(
    user('ann'),
    user('big', 'nick', huge),
    user('bob'),
    ['nick', huge],
    user('cid'),
  );
  const calls = await stage.cutAll();
  const members: string[][] = [];
  for (const { callId } of calls)
    members.push(entriesOf(await stage.take(callId, 'look')).map((e) => e.eventId));
  expect(members).toEqual(ids.map((id) => [id]));
  expect(await stage.problems()).toEqual([]);
  await settleAll(stage);
  expect(await stage.problems()).toEqual([]);
});

test('entries with thousands of fields, in the stream and back from parking', async () => {
  const stage = fresh();
  const many = Array.from({ length: 20_000 }, (_, i) => [`f${i}`, String(i)]).flat();
  await stage.add(user('ann'), user('bob', ...many));
  const call = callOf(await stage.cut());
  await stage.add(user('ann', ...many), user('ann', ...many));
  expect(await stage.cut()).toMatchObject({ kind: 'cut', parked: 2 });
  expect(await stage.problems()).toEqual([]);
  const record = await stage.take(call.callId, 'look');
  expect(entriesOf(record)[1]?.fields).toEqual(['userId', 'bob', ...many]);
  for (let round = 0; round < 3; round++) {
    await settleAll(stage);
    expect(await stage.problems()).toEqual([]);
    await stage.cutAll();
  }
  expect(await stage.redis.hgetall(stage.keys.books)).toMatchObject({ events: '0', parked: '0', taken: '4' });
});

test('a call stays within its bytes, and a user keeps the order across calls', async () => {
  const stage = fresh();
  // 512 KiB a call: five of these fit.
  const nick = 'n'.repeat(100_000);
  await stage.add(...Array.from({ length: 12 }, () => user('ann', 'nick', nick)), user('bob'));
  const calls = callsOf(await stage.cut());
  expect(calls).toMatchObject([{ users: 1 }]);
  const record = await stage.take(calls[0]?.callId ?? '', 'look');
  expect(entriesOf(record)).toHaveLength(5);
  expect(await stage.cut()).toMatchObject({ kind: 'cut', parked: 7, calls: [{ users: 1 }] });
  expect(await stage.problems()).toEqual([]);
});

test('explicit IDs, with the greatest sequences, are moved once each', async () => {
  const stage = fresh();
  const ids = [
    '0-1',
    '5-0',
    '5-999999999999999',
    '5-18446744073709551615',
    '6-99999999999999',
    '6-100000000000000',
  ];
  for (const id of ids) await stage.redis.xadd(stage.keys.stream, id, ...user(`u${id}`));
  const members: string[] = [];
  for (const { callId } of await stage.cutAll({ maxUsers: 2 })) {
    members.push(...entriesOf(await stage.take(callId, 'look')).map(({ eventId }) => eventId));
    expect(await stage.problems()).toEqual([]);
  }
  expect(members).toEqual(ids);
  await stage.redis.xadd(stage.keys.stream, '6-100000000000001', ...user('after'));
  expect(callOf(await stage.cut()).users).toBe(1);
  expect(await stage.problems()).toEqual([]);
});

test('control characters, quotes and four-byte characters arrive as they were sent', async () => {
  const stage = fresh();
  const nick = '"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028 😀 ß';
  await stage.add(user('ann', 'nick', nick));
  const record = await stage.take(callOf(await stage.cut()).callId, 'look');
  expect(entriesOf(record)[0]?.fields).toEqual(['userId', 'ann', 'nick', nick]);
});

test('a bounded number of entries is looked at in one cut', async () => {
  const stage = fresh();
  await stage.add(...Array.from({ length: 2_500 }, (_, i) => user(`u${i % 3}`)));
  const answer = await stage.cut();
  // A thousand, and what is left of the page that was being read.
  expect(answer.waiting).toBeLessThanOrEqual(1_500);
  expect(answer.waiting).toBeGreaterThan(1_400);
  expect(await stage.problems()).toEqual([]);
  await stage.add(...users(10));
  await stage.cutAll();
  expect(await stage.problems()).toEqual([]);
});
