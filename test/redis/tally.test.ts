import { talliesOf } from '../../src/delivery/policy/settlement.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { openTally, readTally, underWay, writeUsers } from '../../src/tasks/backfill/stream-writer.ts';
import { eventually } from '../support/eventually.ts';
import { type Fate, settlementBy } from './settlements.ts';
import { callOf, type Stage, useStages } from './stage.ts';

const fresh = useStages();
const NEVER = new AbortController().signal;

async function add(stage: Stage, tally: string | undefined, ...userIds: string[]): Promise<void> {
  const { redis, keys } = stage;
  const target = { redis, keys, tally, signal: NEVER, onRefused: () => undefined };
  await writeUsers(
    target,
    userIds.map((userId) => ({ userId })),
  );
}

/** Cuts the waiting events and settles them; `counted` of them belong to the tally t. */
async function settle(stage: Stage, fate: Fate, counted: number, slotClass?: string): Promise<void> {
  const { redis, keys } = stage;
  const { callId } = callOf(await stage.cut());
  if (slotClass !== undefined) await redis.hset(keys.callPrefix + callId, 'class', slotClass);
  const record = await stage.take(callId, 'r');
  const settlement = settlementBy(record, () => fate);
  const outcome =
    fate === 'import'
      ? ({ outcome: 'imported' } as const)
      : ({ outcome: 'dead-lettered', reason: 'rejected' } as const);
  const ended = Array.from({ length: counted }, () => ({ tally: 't', outcome }));
  const { kind } = await settleRecord(redis, keys, callId, 'r', { ...settlement, tallies: talliesOf(ended) });
  expect(kind).toBe('settled');
}

test('an event is counted in the step that adds it, and again in the step that ends it', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await openTally(redis, keys, 't');
  await add(stage, 't', 'a', 'b', 'c');
  expect(underWay(await readTally(redis, keys, 't'))).toBe(3);
  await settle(stage, 'import', 3);
  await add(stage, 't', 'd');
  await settle(stage, 'die', 1);
  const tally = await readTally(redis, keys, 't');
  expect(tally).toEqual({
    accepted: 4,
    imported: 3,
    superseded: 0,
    deadLettered: 1,
    deadByReason: { rejected: 1 },
  });
  expect(underWay(tally)).toBe(0);
  expect(await redis.ttl(`${keys.tallyPrefix}t`)).toBeGreaterThan(86_400);
  expect(await stage.problems()).toEqual([]);
});

test('a tally that was not opened makes no key, so events with made-up tallies fill no memory', async () => {
  const stage = fresh();
  await add(stage, undefined, 'a');
  await settle(stage, 'import', 1);
  expect(await stage.redis.exists(`${stage.keys.tallyPrefix}t`)).toBe(0);
});

test('a run that lost its record counts nothing', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await openTally(redis, keys, 't');
  await add(stage, 't', 'a');
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'first');
  await stage.take(callId, 'second');
  const settlement = {
    ...settlementBy(record, () => 'import'),
    tallies: talliesOf([{ tally: 't', outcome: { outcome: 'imported' } }]),
  };
  expect((await settleRecord(redis, keys, callId, 'first', settlement)).kind).toBe('lost');
  expect(await readTally(redis, keys, 't')).toMatchObject({ accepted: 1, imported: 0 });
});

test('an event that ends again after a redrive is not counted again', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await openTally(redis, keys, 't');
  await add(stage, 't', 'a');
  await redis.hset(keys.books, 'redriveCalls', '1');
  await settle(stage, 'import', 1, 'redrive');
  expect(await readTally(redis, keys, 't')).toMatchObject({ accepted: 1, imported: 0 });
});

test('events that Redis refuses are not counted; they are added when Redis has memory again', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await openTally(redis, keys, 't');
  const refusals: string[] = [];
  const onRefused = (reason: string): void => void refusals.push(reason);
  const target = { redis, keys, tally: 't', signal: NEVER, onRefused };
  await redis.config('SET', 'maxmemory', '1');
  const added = writeUsers(target, [{ userId: 'a' }, { userId: 'b' }]);
  try {
    await eventually('it was refused', () => refusals.length > 0);
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
  await added;
  expect(refusals[0]).toContain('OOM');
  expect(await redis.xlen(keys.stream)).toBe(2);
  expect((await readTally(redis, keys, 't')).accepted).toBe(2);
});
