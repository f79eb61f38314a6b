import { performance } from 'node:perf_hooks';
import { createHoldState, type HoldState } from '../../src/hold/hold-state.ts';
import { type HoldWatch, watchHold } from '../../src/hold/hold-watch.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient, type Slot } from '../../src/pace/slot.ts';
import { SlotQueue } from '../../src/pace/slot-queue.ts';
import { eventually } from '../support/eventually.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

interface Process {
  readonly slotQueue: SlotQueue;
  readonly watch: HoldWatch;
  readonly hold: HoldState;
  readonly troubles: Error[];
}

const slotQueues: SlotQueue[] = [];
afterEach(() => {
  for (const slotQueue of slotQueues.splice(0)) slotQueue.close();
});

async function start(stage: Stage, spacing = 10_000): Promise<Process> {
  const redis = stage.connect();
  const watch = await watchHold(stage.connect(), stage.keys);
  const troubles: Error[] = [];
  const slotQueue = new SlotQueue({
    onUnusedProbe: async () => undefined,
    slots: createSlotClient(redis, stage.keys, BATCH, createRedisClock(), spacing),
    watch,
    onTrouble: (error) => troubles.push(error),
  });
  slotQueues.push(slotQueue);
  return { slotQueue, watch, hold: createHoldState(redis, stage.keys), troubles };
}

async function ready(): Promise<Stage> {
  const stage = fresh();
  await stage.redis.hset(stage.keys.pacePrefix + BATCH, 'next', '0');
  return stage;
}

async function candidate(
  stage: Stage,
  callId: string,
  slotClass: Candidate['slotClass'] = 'live',
): Promise<Candidate> {
  await stage.redis.hset(stage.keys.callPrefix + callId, 'run', 'mine');
  return { callId, run: 'mine', slotClass };
}

function slotsOf(ends: readonly (Slot | 'lost' | 'closing')[]): Slot[] {
  return ends.filter((end): end is Slot => typeof end !== 'string');
}

test('everyone who waits gets a slot of their own, over two processes', async () => {
  const stage = await ready();
  const processes = [await start(stage, 2_000), await start(stage, 2_000)];
  const all = await Promise.all(Array.from({ length: 60 }, (_, i) => candidate(stage, `c${i}`)));
  const ends = await Promise.all(all.map((one, i) => processes[i % 2]?.slotQueue.take(one) ?? 'lost'));
  const slots = slotsOf(ends);
  expect(slots).toHaveLength(60);
  expect(new Set(slots.map(({ number }) => number)).size).toBe(60);
  const times = slots.map(({ atRedisMs }) => atRedisMs).sort((a, b) => a - b);
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  // Three quarters of a spacing where a moment in which nobody asked is made up for.
  expect(Math.min(...gaps)).toBeGreaterThan(1.49);
}, 60_000);

test('within a class first come, first served; the better class before the worse', async () => {
  const stage = await ready();
  const { slotQueue } = await start(stage);
  await stage.redis.hset(stage.keys.pacePrefix + BATCH, 'slots', '100', 'turn:3', '100', 'turn:0', '100');
  const order: string[] = [];
  const take = async (callId: string, slotClass: Candidate['slotClass']): Promise<unknown> => {
    const one = await candidate(stage, callId, slotClass);
    return () => slotQueue.take(one).then(() => order.push(callId));
  };
  const takes = [
    await take('redrive1', 'redrive'),
    await take('live1', 'live'),
    await take('redrive2', 'redrive'),
    await take('live2', 'live'),
    await take('live3', 'live'),
  ] as (() => Promise<number>)[];
  // The first to come asks at once; the others wait behind it.
  await Promise.all(takes.map((go) => go()));
  expect(order).toEqual(['redrive1', 'live1', 'live2', 'live3', 'redrive2']);
}, 60_000);

test('a call that missed its slot goes before the others of its class, and not before a better one', async () => {
  const stage = await ready();
  // Slots lie far apart, so that one question is answered before the next: with two on their way on a busy
  // machine, the second call of a class may get the earlier slot (decision 95).
  const { slotQueue } = await start(stage, 500_000);
  await stage.redis.hset(stage.keys.pacePrefix + BATCH, 'slots', '100', 'turn:1', '100', 'turn:0', '100');
  const order: string[] = [];
  const all = await Promise.all(
    (['live', 'retry', 'retry', 'live'] as const).map((slotClass, i) =>
      candidate(stage, `c${i + 1}`, slotClass),
    ),
  );
  // The first is asked for at once; of the others the third comes again.
  await Promise.all(all.map((one, i) => slotQueue.take(one, i === 2).then(() => order.push(one.callId))));
  expect(order).toEqual(['c1', 'c4', 'c3', 'c2']);
}, 60_000);

test('a call whose record another run took over is told so; those behind it go on', async () => {
  const stage = await ready();
  const { slotQueue } = await start(stage);
  const [one, two] = [await candidate(stage, 'c1'), await candidate(stage, 'c2')];
  await stage.redis.hset(`${stage.keys.callPrefix}c1`, 'run', 'another');
  const ends = await Promise.all([slotQueue.take(one), slotQueue.take(two)]);
  expect(ends[0]).toBe('lost');
  expect(slotsOf(ends)).toHaveLength(1);
}, 60_000);

test('paused, it waits; resumed, it goes on at once', async () => {
  const stage = await ready();
  const { slotQueue, watch } = await start(stage);
  await stage.redis.hset(stage.keys.hold, 'paused', '{}', 'epoch', '1');
  let end: unknown;
  const taken = slotQueue.take(await candidate(stage, 'c1')).then((slot) => {
    end = slot;
    return slot;
  });
  await eventually('the pause was heard of', () => watch.isCurrent('1'));
  expect(end).toBeUndefined();
  await stage.redis
    .multi()
    .hdel(stage.keys.hold, 'paused')
    .hset(stage.keys.hold, 'epoch', '2')
    .publish(stage.keys.holdChannel, '2')
    .exec();
  expect(await taken).toMatchObject({ epoch: '2', probe: false });
}, 60_000);

test('held, one of all who wait is the probe; its success frees the others', async () => {
  const stage = await ready();
  const processes = [await start(stage), await start(stage)];
  const { hold } = processes[0] as Process;
  await hold.blocked(
    { epoch: '0', probe: false },
    { errorCode: 60006, errorInfo: '', kind: 'configuration' },
  );
  // As after a check that was not proof enough: a waiting call is the probe.
  await stage.redis.hset(stage.keys.hold, 'nextProbeAt', '1', 'proof', 'import');
  const slots: Slot[] = [];
  const all = await Promise.all(Array.from({ length: 10 }, (_, i) => candidate(stage, `c${i}`)));
  const taken = all.map((one, i) =>
    processes[i % 2]?.slotQueue.take(one).then((end) => {
      if (typeof end !== 'string') slots.push(end);
    }),
  );
  await eventually('the probe', () => slots.length > 0);
  expect(slots).toMatchObject([{ probe: true, epoch: '1' }]);
  await eventually('both have heard of it', () => processes.every(({ watch }) => watch.isCurrent('1')));
  expect(slots).toHaveLength(1);
  await hold.success({ epoch: '1', probe: true });
  await Promise.all(taken);
  expect(slots).toHaveLength(10);
  expect(slots.slice(1).every(({ probe, epoch }) => !probe && epoch === '2')).toBe(true);
}, 60_000);

test('a slot of before the hold is no longer current', async () => {
  const stage = await ready();
  const { slotQueue, watch, hold } = await start(stage);
  const slot = await slotQueue.take(await candidate(stage, 'c1'));
  if (typeof slot === 'string') throw new Error(slot);
  expect(watch.isCurrent(slot.epoch)).toBe(true);
  await hold.blocked(slot, { errorCode: 60006, errorInfo: '', kind: 'configuration' });
  await eventually('the hold was heard of', () => !watch.isCurrent(slot.epoch));
}, 60_000);

test('a slot in the future is mapped to a future of this process', async () => {
  const stage = await ready();
  const { slotQueue } = await start(stage, 1_000_000);
  const all = await Promise.all(['c1', 'c2', 'c3'].map((callId) => candidate(stage, callId)));
  const slots = slotsOf(await Promise.all(all.map((one) => slotQueue.take(one))));
  expect((slots[2]?.atLocalMs ?? 0) - (slots[0]?.atLocalMs ?? 0)).toBeGreaterThan(1_900);
  expect((slots[2]?.atLocalMs ?? 0) - performance.now()).toBeLessThan(2_100);
}, 60_000);

test('closing answers those who wait and those who come, and uses no slot', async () => {
  const stage = await ready();
  const { slotQueue } = await start(stage);
  await stage.redis.hset(stage.keys.hold, 'paused', '{}');
  const one = await candidate(stage, 'c1');
  const waiting = slotQueue.take(one);
  slotQueue.close();
  expect(await waiting).toBe('closing');
  expect(await slotQueue.take(one)).toBe('closing');
  // It was asking when it was closed: it does not sleep through the 5 s of a pause on the answer.
  await eventually('the loop has ended', () => slotQueue.dueMs === null, 4_000);
}, 60_000);

test('a slot that is granted to a process that stops is given up', async () => {
  const stage = await ready();
  const { slotQueue } = await start(stage);
  const waiting = slotQueue.take(await candidate(stage, 'c1'));
  slotQueue.close();
  expect(await waiting).toBe('closing');
  await eventually(
    'given up',
    async () => (await stage.redis.hget(stage.keys.pacePrefix + BATCH, 'givenUp')) === '1',
  );
  expect(await stage.redis.zcard(stage.keys.startedPrefix + BATCH)).toBe(0);
}, 60_000);

test('an error of Redis is told, and the loop goes on', async () => {
  const stage = await ready();
  const { slotQueue, troubles } = await start(stage);
  await stage.redis.set(stage.keys.hold, 'not a hash');
  const waiting = slotQueue.take(await candidate(stage, 'c1'));
  await eventually('told', () => troubles.length > 0);
  await stage.redis.del(stage.keys.hold);
  expect(typeof (await waiting)).toBe('object');
}, 60_000);
