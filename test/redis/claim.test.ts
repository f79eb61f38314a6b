import { entriesOf } from '../../src/ledger/record.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { settlementBy } from './settlements.ts';
import { callOf, type Stage, user, useStages } from './stage.ts';

const fresh = useStages();

async function cutOne(stage: Stage): Promise<string> {
  await stage.add(user('ann', 'nick', 'Ann'), user('bob'));
  return callOf(await stage.cut()).callId;
}

test('the record as it was cut', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  const record = await stage.take(callId, 'r1');
  expect(record).toMatchObject({
    callId,
    command: 'multiaccount_import',
    slotClass: 'live',
    tries: 0,
    attempts: [],
    sentAtMs: 0,
    firstSentAtMs: 0,
    heldMsAtFirst: 0,
  });
  expect(entriesOf(record).map(({ fields }) => fields)).toEqual([user('ann', 'nick', 'Ann'), user('bob')]);
  expect(record.readAtMs).toBeGreaterThanOrEqual(record.cutAtMs);
});

test('a record that is gone is finished work', async () => {
  expect(await fresh().claim('c1', 'r1')).toEqual({ kind: 'gone' });
});

test('of two runs the later one owns the record; the earlier one changes nothing', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  const record = await stage.take(callId, 'r1');
  await stage.take(callId, 'r2');
  const before = await stage.redis.hgetall(stage.keys.callPrefix + callId);
  const settled = await settleRecord(
    stage.redis,
    stage.keys,
    callId,
    'r1',
    settlementBy(record, () => 'import'),
  );
  expect(settled).toEqual({ kind: 'lost' });
  expect(await stage.redis.hgetall(stage.keys.callPrefix + callId)).toEqual(before);
  expect(await stage.problems()).toEqual([]);
});

test('of many runs at once one owns the record', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  const runs = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const claims = await Promise.all(runs.map((run) => stage.claim(callId, run)));
  expect(claims.every(({ kind }) => kind === 'yours')).toBe(true);
  const record = await stage.redis.hget(stage.keys.callPrefix + callId, 'run');
  expect(record).toBe('r11');
  const taken = claims.map((claim, i) => ({ claim, run: runs[i] ?? '' }));
  const ends = await Promise.all(
    taken.map(({ claim, run }) =>
      claim.kind === 'yours'
        ? settleRecord(
            stage.redis,
            stage.keys,
            callId,
            run,
            settlementBy(claim.record, () => 'import'),
          )
        : undefined,
    ),
  );
  expect(ends.filter((end) => end?.kind === 'settled')).toHaveLength(1);
  expect(await stage.problems()).toEqual([]);
  expect(await stage.redis.hget(stage.keys.books, 'imported')).toBe('2');
});

test('a record that is not due is left, and says how long', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  const key = stage.keys.callPrefix + callId;
  await stage.redis.hset(key, 'dueAt', Date.now() + 60_000);
  const early = await stage.claim(callId, 'r1');
  expect(early.kind === 'early' && early.waitMs > 50_000 && early.waitMs <= 60_000).toBe(true);
  expect(await stage.redis.hget(key, 'run')).toBeNull();
  await stage.redis.hset(key, 'dueAt', Date.now() - 1);
  expect((await stage.claim(callId, 'r1')).kind).toBe('yours');
});

test('a due time further away than any back-off is from another clock', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  await stage.redis.hset(stage.keys.callPrefix + callId, 'dueAt', Date.now() + 2 * 86_400_000);
  expect((await stage.claim(callId, 'r1')).kind).toBe('yours');
});

test('a record of another format is left for the version that wrote it', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  const key = stage.keys.callPrefix + callId;
  await stage.redis.hset(key, 'v', '2');
  const before = await stage.redis.hgetall(key);
  expect(await stage.claim(callId, 'r1')).toEqual({ kind: 'foreign', format: '2' });
  expect(await stage.redis.hgetall(key)).toEqual(before);
});

test('a claimed record is seen to move, so that the sweep leaves it alone', async () => {
  const stage = fresh();
  const callId = await cutOne(stage);
  await stage.redis.zadd(stage.keys.open, 1, callId);
  await stage.take(callId, 'r1');
  expect(Number(await stage.redis.zscore(stage.keys.open, callId))).toBeGreaterThan(1);
});
