import { OUTCOMES_KEPT, settleRecord } from '../../src/ledger/settle.ts';
import { readTotals } from '../../src/ledger/totals.ts';
import { type Fate, nothing, settlementBy } from './settlements.ts';
import { callOf, type Stage, user, users, useStages } from './stage.ts';

const fresh = useStages();

/** Takes what waits through one call, each user by their fate; all outcomes are asked for unless told otherwise. */
async function run(stage: Stage, fateOf: (userId: string) => Fate, all = true) {
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r');
  return settleRecord(stage.redis, stage.keys, callId, 'r', settlementBy(record, fateOf), all);
}

/** What the stream tells: `userId outcome errorCode` by event, with `account` where the user has one. */
async function told({ redis, keys }: Stage): Promise<[eventId: string, words: string][]> {
  const entries = await redis.xrange(keys.outcomes, '-', '+');
  return entries.map(([, fields]) => {
    const { eventId = '', ...rest } = Object.fromEntries(
      Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]),
    );
    const { userId, outcome, errorCode, reason, hasAccount } = rest;
    const more = `${hasAccount === 'true' ? ' account' : ''}${reason === undefined ? '' : ` ${reason}`}`;
    return [eventId, `${userId} ${outcome} ${errorCode}${more}`];
  });
}

test('every event is told once, by how it ended, and what stays is not told', async () => {
  const stage = fresh();
  const [a1, a2, b1, c1, c2, , none] = await stage.add(
    ...[user('ann'), user('ann'), user('bob'), user('cid'), user('cid'), user('dan'), ['nick', 'nobody']],
  );
  await run(stage, (userId) => ({ ann: 'import', bob: 'die', cid: 'next', dan: 'stay' })[userId] as Fate);
  expect(new Map(await told(stage))).toEqual(
    new Map([
      [a1, 'ann superseded 0 account'],
      [a2, 'ann imported 0 account'],
      [b1, 'bob dead-lettered 70402 rejected'],
      [c1, 'cid imported 0 account'],
      [c2, 'cid dead-lettered 70402 rejected'],
      [none, ' dead-lettered 0 invalid'],
    ]),
  );
  expect(await told(stage)).toHaveLength(6);
  expect(await stage.problems()).toEqual([]);
});

test('a letter that a newer import makes up for is told as superseded, after its death', async () => {
  const stage = fresh();
  const [old] = await stage.add(user('ann'));
  await run(stage, () => 'die');
  const [newer] = await stage.add(user('ann'));
  await run(stage, () => 'import');
  const all = await told(stage);
  expect(all.filter(([eventId]) => eventId === old)).toEqual([
    [old, 'ann dead-lettered 70402 rejected'],
    [old, 'ann superseded 0 account'],
  ]);
  expect(all.filter(([eventId]) => eventId === newer)).toEqual([[newer, 'ann imported 0 account']]);
  expect(all).toHaveLength(3);
});

test('nothing is written unless it is asked for, nor by a run that lost its record', async () => {
  const stage = fresh();
  await stage.add(user('ann'));
  await run(stage, () => 'die', false);
  await stage.add(user('ann'));
  await run(stage, () => 'import', false);
  await stage.add(user('bob'));
  const { callId } = callOf(await stage.cut());
  const record = await stage.take(callId, 'r');
  const lost = settlementBy(record, () => 'import');
  expect(await settleRecord(stage.redis, stage.keys, callId, 'another', lost, true)).toEqual({
    kind: 'lost',
  });
  await expect(
    settleRecord(stage.redis, stage.keys, callId, 'r', { ...nothing, outcomes: lost.outcomes }, true),
  ).rejects.toThrow('does not balance');
  expect(await stage.redis.exists(stage.keys.outcomes)).toBe(0);
});

test('the stream is capped', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.eval(
    "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'eventId', i) end",
    1,
    keys.outcomes,
    OUTCOMES_KEPT + 5_000,
  );
  await stage.add(...users(100));
  await run(stage, () => 'import');
  const length = await redis.xlen(keys.outcomes);
  expect(length).toBeGreaterThanOrEqual(OUTCOMES_KEPT);
  expect(length).toBeLessThan(OUTCOMES_KEPT + 1_000);
  const last = await redis.xrevrange(keys.outcomes, '+', '-', 'COUNT', 1);
  expect(last[0]?.[1]).toContain('imported');
  expect(await readTotals(redis, keys)).toMatchObject({ imported: 100 });
});
