import { type CallRecord, entriesOf, packEntries } from '../../src/ledger/record.ts';
import { type Settlement, settleRecord } from '../../src/ledger/settle.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { eventually } from '../support/eventually.ts';
import { takeSnapshot } from '../support/snapshot.ts';
import { deadEvent, nothing, settlementBy } from './settlements.ts';
import { callOf, type Stage, user, useStages } from './stage.ts';

const fresh = useStages();

interface Taken {
  readonly stage: Stage;
  readonly callId: string;
  readonly record: CallRecord;
  settle(settlement: Settlement, run?: string): ReturnType<typeof settleRecord>;
}

async function taken(...entries: string[][]): Promise<Taken> {
  const stage = fresh();
  await stage.add(...entries);
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'mine');
  return {
    stage,
    callId,
    record,
    settle: (settlement, run = 'mine') => settleRecord(stage.redis, stage.keys, callId, run, settlement),
  };
}

test('imported and superseded: counted, released, the record closed', async () => {
  const { stage, callId, record, settle } = await taken(user('ann'), user('bob'), user('ann', 'nick', '2'));
  expect(await settle(settlementBy(record, () => 'import'))).toMatchObject({
    kind: 'settled',
    returned: 0,
    resolved: 0,
  });
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({
    waiting: 0,
    parked: 0,
    usersInCalls: {},
    accepted: 3,
    imported: 2,
    superseded: 1,
    deadLettered: 0,
  });
  expect(await stage.redis.exists(stage.keys.callPrefix + callId, stage.keys.open, stage.keys.owners)).toBe(
    0,
  );
  expect(await stage.problems()).toEqual([]);
  expect(await settle(settlementBy(record, () => 'import'))).toEqual({ kind: 'lost' });
  expect(await stage.problems()).toEqual([]);
});

describe('a settlement that does not add up is refused, and all is as it was', () => {
  const off: [string, (record: CallRecord) => Settlement][] = [
    ['an event vanishes', (record) => ({ ...settlementBy(record, () => 'import'), superseded: 0 })],
    ['an event appears', (record) => ({ ...settlementBy(record, () => 'import'), superseded: 2 })],
    ['nothing happened', () => nothing],
    [
      'an event is imported and dead',
      (record) => {
        const [entry] = entriesOf(record);
        const all = settlementBy(record, () => 'import');
        return entry === undefined ? all : { ...all, dead: [deadEvent(entry)] };
      },
    ],
    [
      'an event is imported and kept',
      (record) => {
        const stays = settlementBy(record, () => 'stay');
        return { ...stays, imported: [{ userId: 'bob', eventId: entriesOf(record)[1]?.eventId ?? '' }] };
      },
    ],
    [
      'an event is kept twice',
      (record) => {
        const { kept, ...rest } = settlementBy(record, () => 'stay');
        return {
          ...rest,
          kept: kept && { ...kept, entries: [...kept.entries, ...kept.entries.slice(0, 1)] },
        };
      },
    ],
  ];
  test.each(off)('%s', async (_, settlementOf) => {
    const { stage, record, settle } = await taken(user('ann'), user('bob'), user('ann'));
    const before = await takeSnapshot(stage.redis, stage.keys);
    await expect(settle(settlementOf(record))).rejects.toThrow(/c1 does not balance: 3 events before/);
    expect(await takeSnapshot(stage.redis, stage.keys)).toEqual(before);
    expect(await settle(settlementBy(record, () => 'import'))).toMatchObject({ kind: 'settled' });
  });
});

test('a stale run changes nothing, whatever it wants', async () => {
  const { stage, record, settle } = await taken(user('ann'), user('bob'));
  await stage.add(user('ann'));
  await stage.cut();
  const before = await takeSnapshot(stage.redis, stage.keys);
  for (const fate of ['import', 'die', 'stay'] as const)
    expect(
      await settle(
        settlementBy(record, () => fate),
        'another',
      ),
    ).toEqual({ kind: 'lost' });
  expect(await takeSnapshot(stage.redis, stage.keys)).toEqual(before);
});

test('what stays keeps its history; the rest of the call ends', async () => {
  const { stage, callId, record, settle } = await taken(user('ann'), user('bob'), user('cid'), user('ann'));
  await stage.redis.hset(stage.keys.callPrefix + callId, 'sentAt', '5');
  const due = Date.now() + 40_000;
  const attempt = { at: 7, command: 'multiaccount_import', errorCode: 70500, httpStatus: 200 } as const;
  const { kept, ...rest } = settlementBy(record, (name) => (name === 'bob' ? 'import' : 'stay'), due);
  if (kept === null) throw new Error('nothing stays');
  await settle({ ...rest, kept: { ...kept, attempts: [attempt], firstSentAtMs: 3, heldMsAtFirst: 2 } });
  expect(await stage.problems()).toEqual([]);
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({
    usersInCalls: { multiaccount_import: 2 },
    parked: 1,
    imported: 1,
  });
  // Not due before then, so neither is it swept.
  expect(await stage.redis.zscore(stage.keys.open, callId)).toBe(String(due));
  expect((await stage.claim(callId, 'next')).kind).toBe('early');
  await stage.redis.hset(stage.keys.callPrefix + callId, 'dueAt', 0);
  const again = await stage.take(callId, 'next');
  expect(again).toMatchObject({
    tries: 1,
    attempts: [attempt],
    firstSentAtMs: 3,
    heldMsAtFirst: 2,
    sentAtMs: 0,
  });
  expect(entriesOf(again).map(({ fields }) => fields)).toEqual([user('ann'), user('cid'), user('ann')]);
});

test('what is settled later leaves in its turn', async () => {
  const { stage, record, settle } = await taken(user('ann'), user('bob'), user('cid'));
  const steps = ['ann', 'bob', 'cid'];
  let left = record;
  for (const step of steps) {
    const settlement = settlementBy(left, (name) => (name === step ? 'import' : 'stay'));
    await settle(settlement);
    expect(await stage.problems()).toEqual([]);
    left = { ...left, packed: packEntries(settlement.kept?.entries ?? []) };
  }
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ imported: 3, usersInCalls: {} });
});

describe('parked entries', () => {
  test('come back to the front, in the order of their users and IDs', async () => {
    const { stage, record, settle } = await taken(user('ann'), user('bob'), user('cid'));
    await stage.add(
      user('bob', 'nick', '1'),
      user('ann', 'nick', '1'),
      user('bob', 'nick', '2'),
      user('cid'),
    );
    await stage.cut();
    expect(await settle(settlementBy(record, (name) => (name === 'cid' ? 'stay' : 'import')))).toMatchObject({
      returned: 3,
    });
    const returned = (await stage.redis.lrange(stage.keys.returned, 0, -1)).map((text) =>
      JSON.parse(text).slice(1),
    );
    expect(returned).toEqual([user('ann', 'nick', '1'), user('bob', 'nick', '1'), user('bob', 'nick', '2')]);
    expect(await stage.redis.hgetall(stage.keys.parkedCounts)).toEqual({ cid: '1' });
    expect(await stage.problems()).toEqual([]);
  });

  test('come back before what is returned already and was left over', async () => {
    const { stage, record, settle } = await taken(user('ann'));
    await stage.add(user('ann', 'nick', '1'));
    await stage.cut();
    await stage.redis.rpush(stage.keys.returned, 'left over');
    await settle(settlementBy(record, () => 'import'));
    expect((await stage.redis.lrange(stage.keys.returned, 0, -1)).at(-1)).toBe('left over');
  });

  test('wait since their return', async () => {
    const { stage, record, settle } = await taken(user('ann'), user('bob'));
    await stage.add(user('ann'), user('bob'));
    await stage.cut();
    const first = settlementBy(record, (name) => (name === 'ann' ? 'import' : 'stay'));
    const settled = await settle(first);
    const since = await stage.redis.hget(stage.keys.books, 'returnedSince');
    expect(settled).toMatchObject({ nowMs: Number(since) });
    await stage.redis.hset(stage.keys.books, 'returnedSince', '1');
    await settle(settlementBy({ ...record, packed: packEntries(first.kept?.entries ?? []) }, () => 'import'));
    expect(await stage.redis.hget(stage.keys.books, 'returnedSince')).toBe('1');
  });

  test('stay parked while their user stays in the call', async () => {
    const { stage, record, settle } = await taken(user('ann'), user('bob'));
    await stage.add(user('ann'));
    await stage.cut();
    expect(await settle(settlementBy(record, (name) => (name === 'ann' ? 'stay' : 'die')))).toMatchObject({
      returned: 0,
    });
    expect(await stage.redis.llen(`${stage.keys.parkedPrefix}ann`)).toBe(1);
    expect(await stage.problems()).toEqual([]);
  });

  test('thousands of one user', async () => {
    const { stage, record, settle } = await taken(user('ann'));
    const ids = await stage.add(...Array.from({ length: 3_000 }, () => user('ann')));
    await stage.cutAll();
    // They would hold Redis for long on their way, and come back with the next cut.
    const settled = await settle(settlementBy(record, () => 'import'));
    expect(settled).toMatchObject({ returned: 0, calls: [expect.any(String)] });
    const [callId = ''] = settled.kind === 'settled' ? (settled.calls ?? []) : [];
    const oldest = entriesOf(await stage.take(callId, 'r2')).map(({ eventId }) => eventId);
    const parked = await stage.redis.lrange(`${stage.keys.parkedPrefix}ann`, 0, -1);
    expect(oldest).toEqual(ids.slice(0, 1_000));
    expect(parked.map((text) => JSON.parse(text)[0])).toEqual(ids.slice(1_000));
    expect(await stage.problems()).toEqual([]);
  });
});

test('outcomes are published to who asked', async () => {
  const { stage, record, settle } = await taken(user('ann'));
  const heard: string[] = [];
  const subscriber = stage.connect();
  subscriber.on('message', (channel: string, message: string) => heard.push(`${channel} ${message}`));
  await subscriber.subscribe('answers', 'others');
  await settle({
    ...settlementBy(record, () => 'import'),
    publish: [
      { channel: 'answers', message: '{"a":"ß"}' },
      { channel: 'others', message: 'two' },
    ],
  });
  await eventually('both are heard', () => heard.length === 2);
  expect(heard).toEqual(['answers {"a":"ß"}', 'others two']);
});

test('the books say how long the oldest event has waited', async () => {
  const stage = fresh();
  const empty = await readTotals(stage.redis, stage.keys);
  expect(empty).toMatchObject({ waiting: 0, oldestWaitingMs: null, oldestLetterMs: null, accepted: 0 });
  const age = async (): Promise<number> => (await readTotals(stage.redis, stage.keys)).oldestWaitingMs ?? -1;
  await stage.redis.xadd(stage.keys.stream, `${empty.nowMs - 10_000}-0`, ...user('ann'));
  expect(Math.floor((await age()) / 10_000)).toBe(1);
  await stage.redis.rpush(stage.keys.returned, JSON.stringify([`${empty.nowMs - 30_000}-0`, ...user('bob')]));
  expect(Math.floor((await age()) / 10_000)).toBe(3);
  await stage.redis.rpush(stage.keys.returned, JSON.stringify([`${empty.nowMs - 60_000}-0`, ...user('cid')]));
  expect(Math.floor((await age()) / 10_000)).toBe(6);
  await stage.redis.xadd(stage.keys.stream, '*', ...user('dan'));
  expect(Math.floor((await age()) / 10_000)).toBe(6);
});
