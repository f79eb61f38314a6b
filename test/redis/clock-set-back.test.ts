import { CallQueues, queueName } from '../../src/calls/bullmq/queues.ts';
import { sweep } from '../../src/calls/sweep.ts';
import { createHoldState } from '../../src/hold/hold-state.ts';
import { readPresence } from '../../src/ops/presence.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient } from '../../src/pace/slot.ts';
import { forgetUser } from '../../src/tasks/forget-user.ts';
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
const micros = (aheadOfNowMs: number): string => ((Date.now() + aheadOfNowMs) * 1_000).toFixed(0);

async function asking(slotClass: Candidate['slotClass'] = 'live') {
  const stage = fresh();
  const { redis, keys } = stage;
  await redis.hset(`${keys.callPrefix}c1`, 'run', 'mine');
  await redis.hset(keys.pacePrefix + BATCH, 'next', '0');
  const book = createSlotClient(redis, keys, BATCH, createRedisClock(), 100_000);
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

test('a lower quota that was told then does not count, and this one is told now', async () => {
  const { stage, pace, book } = await asking();
  await stage.redis.hset(pace, { slowest: '1000000', slowestAt: aheadMicros() });
  expect((await book.rate()).ratePerSecond).toBe(10);
  await stage.redis.hset(pace, 'slowestAt', aheadMicros());
  await book.rate();
  expect(Number(await stage.redis.hget(pace, 'slowestAt')) / 1_000).toBeLessThan(Date.now() + 60_000);
});

test('how far away another one was then does not say how far ahead slots are reserved', async () => {
  const { stage, pace, ask } = await asking();
  await stage.redis.hset(pace, { next: micros(600), lead: '500000', leadAt: aheadMicros() });
  expect(await ask()).toMatchObject({ kind: 'later' });
});

test('what was to be made up for then brings no slot nearer', async () => {
  const { stage, pace, ask } = await asking();
  const next = micros(100);
  await stage.redis.hset(pace, { next, behind: '1000000', behindAt: aheadMicros() });
  expect(await ask()).toMatchObject({ kind: 'slot', slot: { atRedisMs: Number(next) / 1_000 } });
});

test('a rate that was cut then can be cut now', async () => {
  const { stage, pace, ask, book } = await asking();
  const answer = await ask();
  if (answer.kind !== 'slot') throw new Error(answer.kind);
  await stage.redis.hset(pace, { cutAt: aheadMicros(), cutBase: '5', cutCeiling: '10' });
  expect(await book.throttle(answer.slot, 0)).toBe(5);
});

test('a Retry-After of then does not hide a shorter one of now', async () => {
  const { stage, pace, ask, book } = await asking();
  const answer = await ask();
  if (answer.kind !== 'slot') throw new Error(answer.kind);
  await stage.redis.hset(pace, 'notBefore', aheadMicros());
  await book.throttle(answer.slot, 2_000);
  expect(Number(await stage.redis.hget(pace, 'notBefore')) / 1_000).toBeLessThan(Date.now() + 30_000);
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
  // By less than an hour this time: longer than a probe may take, and no longer than one is waited for.
  ['a probe on its way', { proof: 'import', nextProbeAt: 1, probeUntil: Date.now() + 40_000 }],
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
  const queues = new CallQueues(redis, keys, [BATCH], () => undefined);
  const bull = `${keys.bullPrefix}:${queueName(BATCH)}`;
  try {
    await stage.add(...users(1));
    const { callId } = callOf(await stage.cut());
    await redis.zadd(keys.open, aheadMs(), callId);
    await redis.set(`${bull}:stalled-check`, '1', 'PX', HOUR_MS);
    await redis.set(`${bull}:${callId}:lock`, 'of the dead', 'PX', HOUR_MS);
    expect((await sweep({ redis, keys }, queues, 60_000)).putBack).toBe(1);
    expect((await sweep({ redis, keys }, queues, 60_000)).putBack).toBe(0);
    expect(await redis.pttl(`${bull}:stalled-check`)).toBeLessThan(10_000);
    expect(await redis.pttl(`${bull}:${callId}:lock`)).toBeLessThan(10_000);

    // A process that has swept before looks at the key when the clock has gone back, and only then.
    const before = await sweep({ redis, keys }, queues, 60_000);
    await redis.set(`${bull}:stalled-check`, '1', 'PX', HOUR_MS);
    await sweep({ redis, keys }, queues, 60_000, before);
    expect(await redis.pttl(`${bull}:stalled-check`)).toBeGreaterThan(HOUR_MS / 2);
    await sweep({ redis, keys }, queues, 60_000, { ...before, atMs: before.atMs + HOUR_MS });
    expect(await redis.pttl(`${bull}:stalled-check`)).toBeLessThan(10_000);
  } finally {
    await queues.close();
  }
});

test('a worker that was seen then and never since is not shown as present', async () => {
  const { redis, keys } = fresh();
  await redis.hset(keys.workers, 'gone', JSON.stringify({ version: '1', lastSeen: aheadMs() }));
  expect(await readPresence(redis, keys, Date.now())).toEqual([]);
});

describe('what the fleet concluded then', () => {
  const call = { epoch: '0', probe: false };
  const why = { errorCode: 60006, errorInfo: 'SDKAppID is invalid', kind: 'configuration' };

  const holding = () => {
    const { redis, keys } = fresh();
    return { redis, key: keys.hold, hold: createHoldState(redis, keys) };
  };

  test('trouble begins anew', async () => {
    const { redis, key, hold } = holding();
    await redis.hset(key, { troubleSince: aheadMs(), troubleAt: aheadMs(), troubleCalls: 7 });
    await hold.trouble(call, why);
    expect(await redis.hget(key, 'troubleCalls')).toBe('1');
    expect(Number(await redis.hget(key, 'troubleSince'))).toBeLessThan(Date.now() + 60_000);
  });

  test('a hold that ended then is none that came back at once', async () => {
    const { redis, key, hold } = holding();
    await redis.hset(key, { clearedAt: aheadMs(), clearedCode: '60006', clearedGapMs: '8000' });
    await hold.blocked(call, why);
    expect(await hold.read()).toMatchObject({ proof: 'check' });
    expect(await redis.hget(key, 'probeGapMs')).toBe('1000');
  });

  test('a pause that began then takes no time off what was held', async () => {
    const { redis, key, hold } = holding();
    await hold.pause('for lunch', 0);
    await redis.hset(key, { stoppedFrom: aheadMs(), heldMs: '5' });
    await hold.resume();
    expect((await hold.read()).heldMs).toBe(5);
  });
});

test('a call that was sent then keeps nobody from being forgotten', async () => {
  const { redis, keys, add, cut, take } = fresh();
  await add(...users(1));
  const { callId } = callOf(await cut());
  await take(callId, 'r1');
  await redis.hset(keys.callPrefix + callId, 'sentAt', String(aheadMs()));
  const sleep = async (): Promise<void> => undefined;
  const report = await forgetUser({ redis, keys, userId: 'u0', dryRun: false, maxWaitMs: 0, sleep });
  expect(report).toMatchObject({ complete: true, erased: { inCalls: 1 } });
});
