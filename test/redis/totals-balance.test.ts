import { createHoldState } from '../../src/hold/hold-state.ts';
import { settleRecord } from '../../src/ledger/settle.ts';
import { apiAnswer, createCallDriver } from '../support/call-driver.ts';
import { nothing } from './settlements.ts';
import { BATCH, useStages } from './stage.ts';

const fresh = useStages();
const answer = { errorCode: 70169, errorInfo: 'busy' };
const call = { epoch: '0', probe: false };

/** What the fleet holds against calls in a row, as hold.lua wrote it. */
async function rowOf({ redis, keys }: ReturnType<typeof fresh>): Promise<(string | null)[]> {
  return redis.hmget(keys.hold, 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt');
}

const NONE = [null, null, null, null, null];

test('users who are imported end what went wrong in a row, in the step that settles them', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  const hold = createHoldState(redis, keys);
  const { cut, run } = createCallDriver(redis, keys, async () => apiAnswer(0));
  await hold.bad(call, 7, answer);
  await hold.trouble(call, answer);
  expect(await rowOf(stage)).not.toContain(null);
  await redis.xadd(keys.stream, '*', 'userId', 'ann');
  const [made] = await cut();
  await run(made?.callId ?? '');
  expect(await redis.hget(keys.books, 'imported')).toBe('1');
  expect(await rowOf(stage)).toEqual(NONE);
});

test('users who are refused do not', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  const hold = createHoldState(redis, keys);
  const { cut, run } = createCallDriver(redis, keys, async () => apiAnswer(70402));
  await hold.trouble(call, answer);
  const before = await rowOf(stage);
  await redis.xadd(keys.stream, '*', 'userId', 'ann');
  const [made] = await cut();
  await run(made?.callId ?? '');
  expect(await redis.hget(keys.books, 'dead')).toBe('1');
  expect(await rowOf(stage)).toEqual(before);
});

test('a settlement that comes too late proves nothing, and one that proves something leaves a hold alone', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  const hold = createHoldState(redis, keys);
  await hold.trouble(call, answer);
  const proof = { ...nothing, proof: true };
  expect(await settleRecord(redis, keys, 'c1', 'r', proof)).toEqual({ kind: 'lost' });
  expect(await redis.hexists(keys.hold, 'troubleSince')).toBe(1);
  await hold.blocked(call, { errorCode: 60006, errorInfo: 'x', kind: 'configuration' });
  await redis.hset(`${keys.callPrefix}c1`, { run: 'r', command: BATCH, users: 0, events: 0, class: 'live' });
  expect(await settleRecord(redis, keys, 'c1', 'r', proof)).toMatchObject({ kind: 'settled' });
  expect((await hold.read()).hold?.errorCode).toBe(60006);
});
