import fc from 'fast-check';
import { takeOut } from '../../src/ledger/forget/forget.ts';
import { redriveUsers } from '../../src/ledger/letters/redrive.ts';
import { entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient } from '../../src/pace/slot.ts';
import { openTally, readTally } from '../../src/tasks/backfill/stream-writer.ts';
import { type ForgetReport, forgetUser } from '../../src/tasks/forget-user.ts';
import { letterProblems } from '../support/letter-audit.ts';
import { tracesOf } from '../support/traces.ts';
import { type Fate, settlementBy } from './settlements.ts';
import { BATCH, callOf, callsOf, oldForm, SINGLE, type Stage, user, users, useStages } from './stage.ts';

const newStage = useStages();

function forget({ redis, keys }: Stage, userId: string, more = {}): Promise<ForgetReport> {
  return forgetUser({ redis, keys, userId, dryRun: false, maxWaitMs: 0, sleep: async () => {}, ...more });
}

async function settle(stage: Stage, callId: string, fate: Fate, outcomes = false): Promise<void> {
  const record = await stage.take(callId, `r-${callId}`);
  const settlement = settlementBy(record, () => fate);
  await settleRecord(stage.redis, stage.keys, callId, `r-${callId}`, settlement, outcomes);
}

/** Every value among the keys of this stage that names the user. */
async function traces({ redis, keys }: Stage, text: string): Promise<string[]> {
  const own = keys.stream.replace(/:[^:]*$/, '');
  return (await tracesOf(redis, text)).filter((key) => key.startsWith(own));
}

test('erases a user in every place; the totals balance, and other users are unchanged', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  // A dead letter, a resolved dead letter, and an entry in the stream of outcomes.
  await stage.add(user('ann/1'), user('bob'));
  await settle(stage, callOf(await stage.cut()).callId, 'die', true);
  await stage.add(user('ann/1'), user('bob'));
  await settle(stage, callOf(await stage.cut()).callId, 'import', true);
  await stage.add(user('ann/1'), user('bob'));
  await settle(stage, callOf(await stage.cut()).callId, 'die', true);
  // An event at the front of the intake, which was parked behind a call that has ended.
  await stage.add(user('ann/1'));
  const first = callOf(await stage.cut()).callId;
  await stage.add(user('ann/1', 'nick', 'Ann'), user('ann/1'));
  await stage.cut();
  await settle(stage, first, 'import', true);
  // An event in a call that waits for its retry, and one parked behind it.
  await redis.rename(keys.returned, `${keys.returned}-aside`);
  await stage.add(user('ann/1'), user('bob'), user('ann/1'));
  const { callId } = callOf(await stage.cut());
  await settle(stage, callId, 'stay');
  await redis.hset(
    keys.callPrefix + callId,
    'attempts',
    JSON.stringify(['ann/1', 'bob'].map((userId) => ({ at: 1, command: SINGLE, errorCode: 1, userId }))),
  );
  await stage.add(user('ann/1'));
  await stage.cut();
  await redis.rename(`${keys.returned}-aside`, keys.returned);
  // An event in the stream.
  await stage.add(user('bob'), user('ann/1'), user('ann/10'));
  // This order is made by hand: a returned event would go into a call before a newer one.
  for (const problem of await stage.problems())
    expect(problem).toMatch(/^ann\/1: .* would go before the older/);
  const before = await readTotals(redis, keys);

  const found = { stream: 1, returned: 2, parked: 1, inCalls: 2, letters: 2, outcomes: 6 };
  const dry = await forget(stage, 'ann/1', { dryRun: true });
  expect(dry).toMatchObject({ complete: true, dryRun: true, erased: found });
  expect(await readTotals(redis, keys)).toEqual({
    ...before,
    nowMs: expect.any(Number),
    oldestWaitingMs: expect.any(Number),
    oldestUnfinishedMs: expect.any(Number),
    oldestLetterMs: expect.any(Number),
  });

  expect(await forget(stage, 'ann/1')).toMatchObject({ complete: true, erased: found, left: [] });
  // Another user has an ID with the same beginning.
  expect((await traces(stage, 'ann/1')).concat(await traces(stage, 'ann\\\\/1'))).toEqual([keys.stream]);
  expect(await traces(stage, 'ann/1"')).toEqual([]);
  expect(await stage.problems()).toEqual([]);
  expect(await letterProblems(redis, keys)).toEqual([]);
  const after = await readTotals(redis, keys);
  expect(after).toMatchObject({ accepted: before.accepted, imported: before.imported, forgotten: 6 });
  expect(after.deadLettered).toBe(before.deadLettered + 6);
  expect(await forget(stage, 'ann/1')).toMatchObject({
    complete: true,
    erased: { stream: 0, returned: 0, parked: 0, inCalls: 0, letters: 0, outcomes: 0 },
  });

  // The events of the other users go on.
  await settle(stage, callId, 'import');
  for (const call of await stage.cutAll()) await settle(stage, call.callId, 'import');
  const end = await readTotals(redis, keys);
  expect(end.imported + end.superseded + end.deadLettered).toBe(end.accepted);
  expect(await stage.problems()).toEqual([]);
}, 60_000);

test('waits for a call that may be on the wire, whose run settles as usual', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  await stage.add(user('ann'), user('bob'));
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r1');
  const book = createSlotClient(redis, keys, BATCH, createRedisClock(), 1);
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');
  expect((await book.ask([{ callId, run: 'r1', slotClass: 'live' }])).kind).toBe('slot');
  await stage.add(user('ann'));
  await stage.cut();

  const early = await forget(stage, 'ann');
  expect(early).toMatchObject({ complete: false, erased: { parked: 1, inCalls: 0 } });
  expect(early.left[0]).toMatch(/on the wire/);
  expect(await stage.problems()).toEqual([]);

  // The call is refused while the erasing waits: then its dead letter is erased, too.
  let waits = 0;
  const report = await forget(stage, 'ann', {
    maxWaitMs: 60_000,
    sleep: async () => {
      if (waits++ > 0) return;
      const settlement = settlementBy(record, (userId) => (userId === 'ann' ? 'die' : 'import'));
      expect((await settleRecord(redis, keys, callId, 'r1', settlement)).kind).toBe('settled');
    },
  });
  expect(report).toMatchObject({ complete: true, erased: { letters: 1 } });
  expect(waits).toBe(1);
  expect(await traces(stage, 'ann')).toEqual([]);
  expect(await stage.problems()).toEqual([]);
}, 60_000);

test('takes a call without a slot from its run; the call is made again without the user', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  await stage.add(user('ann'), user('bob'), user('cyd', 'type', '1'));
  const calls = callsOf(await stage.cut(oldForm));
  const callId = calls.find(({ command }) => command === BATCH)?.callId ?? '';
  const robot = calls.find(({ command }) => command === SINGLE)?.callId ?? '';
  const stale = settlementBy(await stage.take(callId, 'r1'), () => 'import');
  await forget(stage, 'ann');
  // The user is alone in the call, so the call is removed.
  await forget(stage, 'cyd');
  expect((await stage.claim(robot, 'r2')).kind).toBe('gone');
  expect((await settleRecord(redis, keys, callId, 'r1', stale)).kind).toBe('lost');
  expect(await stage.problems()).toEqual([]);
  const again = await stage.take(callId, 'r2');
  expect(entriesOf(again).map(({ fields }) => fields[1])).toEqual(['bob']);
  await settleRecord(
    redis,
    keys,
    callId,
    'r2',
    settlementBy(again, () => 'import'),
  );
  expect(await readTotals(redis, keys)).toMatchObject({ imported: 1, deadLettered: 2, forgotten: 2 });
}, 60_000);

test('erases letters that are being redriven with their event, and letters of an invalid user ID', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  const long = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
  await stage.add(user('ann'), user('bob'), user(long), user('not ok'));
  for (const { callId } of callsOf(await stage.cut())) {
    const record = await stage.take(callId, 'r1');
    const settlement = settlementBy(record, () => 'die');
    // As the real reader does it: only the letter holds the invalid ID.
    const dead = settlement.dead.map((one) => {
      const entry = entriesOf(record).find(({ eventId }) => eventId === one.eventId);
      const userId = entry?.fields[1] ?? '';
      const letter = { ...one.letter, userId, event: { userId } };
      return { ...one, letter };
    });
    await settleRecord(redis, keys, callId, 'r1', { ...settlement, dead });
  }
  await redriveUsers(
    { redis, keys },
    {
      ...{ users: ['ann', 'bob'], by: 'test', batchCommand: BATCH, singleCommand: SINGLE, maxOpenCalls: 5 },
      ...{ dryRun: false, early: false, invalid: false },
    },
  );
  expect(await forget(stage, 'ann')).toMatchObject({ complete: true, erased: { inCalls: 1, letters: 0 } });
  expect(await forget(stage, long)).toMatchObject({ complete: true, erased: { letters: 1 } });
  for (const text of ['ann', long]) expect(await traces(stage, text)).toEqual([]);
  expect(await forget(stage, 'bob')).toMatchObject({ erased: { inCalls: 1 } });
  expect(await letterProblems(redis, keys)).toEqual([]);
  expect(await stage.problems()).toEqual([]);
}, 60_000);

test('reads a long front of the intake page by page, while others take entries out', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  const names = ['ann', 'bob', 'cyd', 'dan'];
  const packed = (i: number): string => JSON.stringify([`1-${i}`, 'userId', names[i % 4] ?? '']);
  await redis.rpush(keys.returned, ...Array.from({ length: 400 }, (_, i) => packed(i)));
  const options = { run: 'f', landingMs: 4_000, dryRun: false, pageSize: 8 };
  const taken = await Promise.all(
    names.slice(1).map((userId) => takeOut({ redis: stage.connect(), keys }, { ...options, userId })),
  );
  expect(taken.map(({ returned }) => returned)).toEqual([100, 100, 100]);
  const left = await redis.lrange(keys.returned, 0, -1);
  expect(left).toEqual(Array.from({ length: 100 }, (_, i) => packed(4 * i)));
}, 60_000);

test('keeps the totals balanced between any steps of other processes, and leaves nothing in the end', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), n: fc.nat(3) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('cut' as const), n: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), n: fc.nat(15) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('forget' as const), n: fc.nat(1) }) },
  );
  const fates: Fate[] = ['import', 'die', 'stay', 'next'];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
      const stage = newStage();
      let runs = 0;
      for (const next of steps) {
        if (next.do === 'add') await stage.add(user(`u${next.n}`));
        else if (next.do === 'cut') await stage.cut({ maxUsers: next.n });
        else if (next.do === 'forget')
          await takeOut(stage, {
            ...{ userId: `u${next.n}`, run: `f${++runs}`, landingMs: 4_000, dryRun: false, pageSize: 2 },
          });
        else {
          const open = await stage.redis.zrange(stage.keys.open, '0', '-1');
          const callId = open[next.n % Math.max(1, open.length)];
          if (callId === undefined) continue;
          const record = await stage.take(callId, `r${++runs}`);
          const settlement = settlementBy(record, () => fates[next.n % 4] ?? 'import');
          await settleRecord(stage.redis, stage.keys, callId, `r${runs}`, settlement);
        }
        expect({ next, problems: await stage.problems() }).toEqual({ next, problems: [] });
      }
      expect(await forget(stage, 'u0')).toMatchObject({ complete: true });
      expect(await traces(stage, 'u0')).toEqual([]);
      expect(await stage.problems()).toEqual([]);
    }),
    { seed: 1400000000, numRuns: 25 },
  );
}, 120_000);

test('the tally of an import does not wait for erased events', async () => {
  const stage = newStage();
  const { redis, keys } = stage;
  await openTally(redis, keys, 'import-1');
  await redis.hincrby(`${keys.tallyPrefix}import-1`, 'accepted', 5);
  const tallied = user('ann', 'tally', 'import-1');
  await stage.add(tallied, user('bob', 'tally', 'import-1'));
  const { callId } = callOf(await stage.cut());
  await stage.add(tallied, user('ann', 'tally', 'of-nobody'));
  await stage.cut();
  await stage.add(tallied);
  await settle(stage, callId, 'die');
  await stage.add(tallied);
  await stage.cut();
  await redriveUsers(
    { redis, keys },
    {
      ...{ users: ['ann'], by: 'test', batchCommand: BATCH, singleCommand: SINGLE, maxOpenCalls: 5 },
      ...{ dryRun: false, early: false, invalid: false },
    },
  );
  await stage.add(tallied);
  await forget(stage, 'ann');
  // Four events were on their way. The first one had ended before, and this test's settling does not count it.
  expect(await readTally(redis, keys, 'import-1')).toMatchObject({ accepted: 5, deadLettered: 4 });
  expect(await redis.exists(`${keys.tallyPrefix}of-nobody`)).toBe(0);
  expect(await stage.problems()).toEqual([]);
}, 60_000);

test('reads a stream of 10,000 entries once', async () => {
  const stage = newStage();
  await stage.add(...users(5_000), user('ann'), ...users(5_000), user('ann'));
  expect((await forget(stage, 'ann')).erased.stream).toBe(2);
  expect(await readTotals(stage.redis, stage.keys)).toMatchObject({ accepted: 10_002, waiting: 10_000 });
  expect(await stage.problems()).toEqual([]);
}, 60_000);
