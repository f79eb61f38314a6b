import { openCallQueues, queueName } from '../../src/calls/queues.ts';
import { sweep } from '../../src/intake/sweep.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotBook } from '../../src/pace/slot.ts';
import { readPresence } from '../../src/server/presence.ts';
import { BATCH, callOf, users, useStages } from './stage.ts';

/**
 * Redis's clock was set back by an hour: what it wrote before lies an hour ahead, and nothing may wait for it.
 * (With a clock that is really set: `npm run chaos -- clock-redis`.)
 */

const fresh = useStages();
const HOUR_MS = 3_600_000;
/** Less than what the step was: some of it has passed by now. */
const aheadMs = (): number => Date.now() + HOUR_MS / 2;
const aheadMicros = (): string => (aheadMs() * 1_000).toFixed(0);

async function asking(slotClass: Candidate['slotClass'] = 'live') {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.hset(`${keys.callPrefix}c1`, 'run', 'mine');
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');
  const book = createSlotBook(redis, keys, BATCH, createRedisClock(), 100_000);
  return {
    stage,
    pace: keys.pacePrefix + BATCH,
    ask: () => book.ask([{ callId: 'c1', run: 'mine', slotClass }]),
    book,
  };
}

test('a Retry-After is waited for once, and a minute at most', async () => {
  const { stage, pace, ask } = await asking();
  await stage.redis.hset(pace, 'notBefore', aheadMicros());
  expect(await ask()).toMatchObject({ kind: 'later' });
  const notBefore = Number(await stage.redis.hget(pace, 'notBefore')) / 1_000;
  expect(notBefore).toBeLessThan(Date.now() + 61_000);
});

test('a class that wanted a slot then does not keep it from those that want one now', async () => {
  const { stage, pace, ask } = await asking('retry');
  await stage.redis.hset(pace, 'want:0', aheadMicros());
  expect(await ask()).toMatchObject({ kind: 'slot' });
});

test('a throttled rate climbs from now on', async () => {
  const { stage, pace, book } = await asking();
  await stage.redis.hset(pace, { cutAt: aheadMicros(), cutBase: '5', cutCeiling: '10' });
  expect((await book.rate()).ratePerSecond).toBe(5);
  const cutAt = Number(await stage.redis.hget(pace, 'cutAt')) / 1_000;
  expect(Math.abs(cutAt - Date.now())).toBeLessThan(60_000);
});

test('slots that were granted then are not counted as started', async () => {
  const { stage, pace, ask } = await asking();
  const started = stage.keys.startedPrefix + BATCH;
  await stage.redis.zadd(started, aheadMicros(), '1');
  await stage.redis.hset(pace, 'next', aheadMicros());
  // It is not known what was granted in this second: one is waited.
  expect(await ask()).toMatchObject({ kind: 'later' });
  expect(await stage.redis.zcard(started)).toBe(0);
});

test.each([
  ['the next probe', { proof: 'import', nextProbeAt: aheadMs() }],
  [
    'a call that was to be the probe',
    { proof: 'new', newcomer: 'c9', newcomerUntil: aheadMs(), nextProbeAt: 1 },
  ],
] as const)('%s is not waited for', async (_what, fields) => {
  const { stage, ask, book } = await asking();
  await stage.redis.hset(stage.keys.hold, {
    ...{
      epoch: '1',
      held: '{"errorCode":70398,"errorInfo":"","kind":"quota"}',
      kind: 'quota',
      maxGapMs: '60000',
    },
    ...fields,
  });
  expect(await (fields.proof === 'new' ? book.askForCheck() : ask())).toMatchObject({
    kind: 'slot',
    slot: { probe: true },
  });
});

test('a call that moved then, and lost its job, is put back; a dead lock and the last look for stalled jobs run out', async () => {
  const stage = fresh();
  const { redis, keys } = stage;
  const queues = openCallQueues(redis, keys, [BATCH], () => undefined);
  const bull = `${keys.bullPrefix}:${queueName(BATCH)}`;
  try {
    await stage.add(...users(1));
    const { callId } = callOf(await stage.cut());
    await redis.zadd(keys.open, aheadMs(), callId);
    await redis.set(`${bull}:stalled-check`, '1', 'PX', HOUR_MS);
    await redis.set(`${bull}:${callId}:lock`, 'of the dead', 'PX', HOUR_MS);
    expect((await sweep(redis, keys, queues, 60_000)).putBack).toBe(1);
    expect((await sweep(redis, keys, queues, 60_000)).putBack).toBe(0);
    expect(await redis.pttl(`${bull}:stalled-check`)).toBeLessThan(10_000);
    expect(await redis.pttl(`${bull}:${callId}:lock`)).toBeLessThan(10_000);
  } finally {
    await queues.close();
  }
});

test('a worker that was seen then and never since is not shown as present', async () => {
  const { redis, keys } = fresh();
  await redis.hset(keys.workers, 'gone', JSON.stringify({ version: '1', lastSeen: aheadMs() }));
  expect(await readPresence(redis, keys, Date.now())).toEqual([]);
});
