import { cutCalls } from '../../src/intake/cut.ts';
import { claimedUser, entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { settlementBy } from './settlements.ts';
import {
  BATCH,
  callOf,
  callsOf,
  limits,
  oldForm,
  SINGLE,
  type Stage,
  user,
  users,
  useStages,
} from './stage.ts';

const fresh = useStages();

async function importCall(stage: Stage, callId: string, run = 'r'): Promise<readonly string[]> {
  const record = await stage.take(callId, run);
  const settlement = settlementBy(record, () => 'import');
  const settled = await settleRecord(stage.redis, stage.keys, callId, run, settlement);
  expect(settled.kind).toBe('settled');
  return settlement.imported.map(({ eventId }) => eventId);
}

async function membersOf(stage: Stage, callId: string): Promise<[user: string, eventId: string][]> {
  const record = await stage.take(callId, 'look');
  return entriesOf(record).map(({ eventId, fields }) => [claimedUser(fields), eventId]);
}

test('a user who is in a call is parked, and comes back in order before the stream is read', async () => {
  const stage = fresh();
  const [first] = await stage.add(user('ann', 'nick', '1'));
  const call = callOf(await stage.cut());
  const [second, other, third] = await stage.add(
    user('ann', 'nick', '2'),
    user('bob'),
    user('ann', 'nick', '3'),
  );
  const answer = await stage.cut();
  expect(answer).toMatchObject({ kind: 'cut', parked: 2, waiting: 0 });
  expect(await membersOf(stage, callOf(answer).callId)).toEqual([['bob', other]]);
  expect(await stage.problems()).toEqual([]);

  const [fourth] = await stage.add(user('ann', 'nick', '4'));
  expect(await importCall(stage, call.callId)).toEqual([first]);
  expect(await stage.redis.llen(stage.keys.returned)).toBe(2);
  expect(await stage.problems()).toEqual([]);
  const next = callOf(await stage.cut({ maxUsers: 3 }));
  expect(await membersOf(stage, next.callId)).toEqual([
    ['ann', second],
    ['ann', third],
    ['ann', fourth],
  ]);
  expect(await importCall(stage, next.callId)).toEqual([fourth]);
  expect(await stage.redis.hgetall(stage.keys.books)).toMatchObject({ imported: '2', superseded: '2' });
  expect(await stage.problems()).toEqual([]);
});

test('the stream is not read while something returned is left over', async () => {
  const stage = fresh();
  await stage.add(user('ann'), user('bob'));
  const call = callOf(await stage.cut());
  const [ann2, bob2] = await stage.add(user('ann'), user('bob'));
  await stage.cut();
  await stage.add(user('cid'), user('ann'));
  await importCall(stage, call.callId);

  const front = callOf(await stage.cut({ maxUsers: 1 }));
  expect(await membersOf(stage, front.callId)).toEqual([['ann', ann2]]);
  expect(await stage.redis.xlen(stage.keys.stream)).toBe(2);
  const second = callOf(await stage.cut({ maxUsers: 1 }));
  expect(await membersOf(stage, second.callId)).toEqual([['bob', bob2]]);
  expect(await stage.problems()).toEqual([]);
});

test('several events of a user ride in one call, as one user', async () => {
  const stage = fresh();
  const ids = await stage.add(user('ann', 'nick', '1'), user('bob'), user('ann', 'nick', '2'), user('ann'));
  const call = callOf(await stage.cut({ maxUsers: 4 }));
  expect(call).toMatchObject({ command: BATCH, users: 2 });
  expect((await membersOf(stage, call.callId)).map(([, eventId]) => eventId)).toEqual(ids);
  expect(await stage.redis.hgetall(stage.keys.owners)).toEqual({ ann: call.callId, bob: call.callId });
  expect(await stage.problems()).toEqual([]);
});

test('robots are cut singly, and what follows of the same robot is parked', async () => {
  const stage = fresh();
  await stage.add(
    user('@RBT#1', 'type', '1'),
    user('ann'),
    user('@RBT#2', 'type', '1'),
    user('@RBT#1', 'type', '1', 'nick', 'newer'),
    user('bob', 'type', '0'),
  );
  const answer = await stage.cut(oldForm);
  expect(answer).toMatchObject({ parked: 1, waiting: 0 });
  expect(callsOf(answer).map(({ command, users: n }) => [command, n])).toEqual([
    [SINGLE, 1],
    [SINGLE, 1],
    [BATCH, 2],
  ]);
  expect(await stage.redis.hget(stage.keys.parkedCounts, '@RBT#1')).toBe('1');
  expect(await stage.problems()).toEqual([]);
});

test('a robot event of a user who is in the call being cut rides along', async () => {
  const stage = fresh();
  await stage.add(user('ann'), user('ann', 'type', '1'));
  expect(callsOf(await stage.cut(oldForm))).toMatchObject([{ command: BATCH, users: 1 }]);
  expect(await stage.problems()).toEqual([]);
});

test('where no form makes robots they ride in the batch, a hundred to a record: their reader refuses them', async () => {
  const stage = fresh();
  await stage.add(...users(99, '@RBT#').map((fields) => [...fields, 'type', '1']), user('ann'), user('bob'));
  expect(callsOf(await stage.cut())).toMatchObject([{ command: BATCH, users: 100 }]);
  expect(callsOf(await stage.cut())).toMatchObject([{ command: BATCH, users: 1 }]);
  expect(await stage.problems()).toEqual([]);
});

test('one call a user, however many processes cut at the same time', async () => {
  const stage = fresh();
  await stage.add(...Array.from({ length: 400 }, (_, i) => user(`u${i % 37}`, 'nick', String(i))));
  const processes = [1, 2, 3, 4].map(() => stage.connect());
  const answers = await Promise.all(
    processes.flatMap((redis) =>
      Array.from({ length: 10 }, () => cutCalls({ redis, keys: stage.keys }, { ...limits, maxUsers: 10 })),
    ),
  );
  expect(answers.filter(({ kind }) => kind === 'cut').length).toBeGreaterThan(3);
  expect(await stage.problems()).toEqual([]);
  expect(await stage.redis.hlen(stage.keys.owners)).toBe(37);
});

// A cut looks at a bounded number of entries, so it can stop in the middle of what one user has waiting.
test('a long run of one user keeps its order when a cut stops within it', async () => {
  const stage = fresh();
  const others = ['bob', 'carl', 'dora'];
  await stage.add(...[...others, 'ann'].map((name) => user(name)));
  const first = callOf(await stage.cut());
  await stage.add(...others.flatMap((name) => Array.from({ length: 300 }, () => user(name))));
  const ids = await stage.add(...Array.from({ length: 300 }, (_, i) => user('ann', 'nick', String(i))));
  await stage.cutAll();
  await importCall(stage, first.callId);
  expect(await stage.redis.llen(stage.keys.returned)).toBe(1_200);
  const second = callOf(await stage.cut());
  expect(await stage.cut()).toMatchObject({ kind: 'cut', calls: [] });
  expect(await stage.redis.hget(stage.keys.parkedCounts, 'ann')).toBe('200');
  const sent = [...(await importCall(stage, second.callId))];
  expect(await stage.problems()).toEqual([]);
  for (const { callId } of await stage.cutAll()) {
    sent.push(...(await importCall(stage, callId)));
    expect(await stage.problems()).toEqual([]);
  }
  for (;;) {
    const calls = await stage.cutAll();
    if (calls.length === 0) break;
    for (const { callId } of calls) sent.push(...(await importCall(stage, callId)));
  }
  const places = sent.map((eventId) => ids.indexOf(eventId)).filter((place) => place >= 0);
  expect(places).toEqual([99, 299]);
});

test('users of a full batch leave the next ones where they are', async () => {
  const stage = fresh();
  await stage.add(...users(5));
  const answer = await stage.cut({ maxUsers: 3 });
  expect(answer).toMatchObject({ kind: 'cut', waiting: 2, calls: [{ users: 3 }] });
  expect(await stage.problems()).toEqual([]);
});
