import { createHoldState, type HoldState } from '../../src/pace/hold-state.ts';
import { createHoldWatch, watchHold } from '../../src/pace/hold-watch.ts';
import { loadScript, runScript } from '../../src/redis/script.ts';
import { eventually } from '../support/eventually.ts';
import { type Stage, useStages } from './stage.ts';

const fresh = useStages();
const why = { errorCode: 60006, errorInfo: 'SDKAppID is invalid', kind: 'configuration' };
const holdScript = loadScript(import.meta.resolve('../../src/pace/hold-state.ts'), 'hold.lua');

function start(): { stage: Stage; hold: HoldState; gapMs: () => Promise<number> } {
  const stage = fresh();
  return {
    stage,
    hold: createHoldState(stage.redis, stage.keys),
    gapMs: async () => Number(await stage.redis.hget(stage.keys.hold, 'probeGapMs')),
  };
}

function operate({ redis, keys }: Stage, op: 'pause' | 'resume'): Promise<unknown> {
  return runScript(redis, holdScript, [keys.hold], [op, '', keys.holdChannel, '{"reason":"test"}', 0, 0]);
}

test('at first nothing stops the fleet', async () => {
  const { hold } = start();
  expect(await hold.read()).toEqual({ epoch: '0', hold: null, paused: false, heldMs: 0 });
});

test('set: held, with its reason and the time of the first probe; a new epoch', async () => {
  const { hold } = start();
  expect(await hold.set('0', why)).toBe('set');
  const state = await hold.read();
  expect(state).toMatchObject({ epoch: '1', hold: why, paused: false });
  expect((state.hold?.nextProbeAt ?? 0) - (state.hold?.since ?? 0)).toBe(1_000);
});

test('set again: the gap doubles up to a minute, the epoch and the beginning stay', async () => {
  const { hold, gapMs } = start();
  await hold.set('0', why);
  const since = (await hold.read()).hold?.since;
  const gaps: number[] = [];
  for (let i = 0; i < 8; i++) {
    expect(await hold.set('1', { ...why, errorCode: 60000 + i })).toBe('postponed');
    gaps.push(await gapMs());
  }
  expect(gaps).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  expect(await hold.read()).toMatchObject({ epoch: '1', hold: { errorCode: 60007, since } });
});

test('an answer may ask for a greater gap, and later ones keep it above a minute', async () => {
  const { hold, gapMs } = start();
  await hold.set('0', { ...why, minProbeGapMs: 90_000 });
  expect(await gapMs()).toBe(90_000);
  await hold.set('1', why);
  expect(await gapMs()).toBeGreaterThanOrEqual(60_000);
  expect((await hold.read()).hold).not.toHaveProperty('minProbeGapMs');
});

test('set, wait: a running probe is over, and another one may go after the gap', async () => {
  for (const op of ['set', 'wait'] as const) {
    const { hold, stage } = start();
    await hold.set('0', why);
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999', 'nextProbeAt', '1');
    expect(await (op === 'set' ? hold.set('1', why) : hold.wait('1'))).toBe(
      op === 'set' ? 'postponed' : 'waiting',
    );
    expect(await stage.redis.hget(stage.keys.hold, 'probeUntil')).toBeNull();
    expect(Number((await hold.read()).hold?.nextProbeAt)).toBeGreaterThan(1);
    expect((await hold.read()).epoch).toBe('1');
  }
});

test('clear: calls go on, the time held is kept, a new epoch', async () => {
  const { hold, stage } = start();
  await hold.set('0', why);
  await stage.redis.hincrby(stage.keys.hold, 'heldSince', -5_000);
  expect(await hold.clear('1')).toBe('cleared');
  const state = await hold.read();
  expect(state).toMatchObject({ epoch: '2', hold: null });
  expect(state.heldMs).toBeGreaterThanOrEqual(5_000);
  expect(Object.keys(await stage.redis.hgetall(stage.keys.hold)).sort()).toEqual(['epoch', 'heldMs']);
  // A clock that was set back takes nothing away again.
  await hold.set('2', why);
  await stage.redis.hincrby(stage.keys.hold, 'heldSince', 3_600_000);
  await hold.clear('3');
  expect((await hold.read()).heldMs).toBe(state.heldMs);
});

test('clear and wait change nothing where nothing is held', async () => {
  const { hold } = start();
  expect(await hold.clear('0')).toBe('same');
  expect(await hold.wait('0')).toBe('same');
  expect(await hold.read()).toEqual({ epoch: '0', hold: null, paused: false, heldMs: 0 });
});

test('an answer of an older epoch neither sets nor clears nor waits', async () => {
  const { hold, stage } = start();
  await hold.set('0', why);
  await hold.clear('1');
  // On the wire since before the hold: it says what was known then.
  expect(await hold.set('0', why)).toBe('stale');
  expect(await hold.set('1', why)).toBe('stale');
  expect(await hold.read()).toMatchObject({ epoch: '2', hold: null });
  await hold.set('2', why);
  const before = await stage.redis.hgetall(stage.keys.hold);
  expect(await hold.clear('2')).toBe('stale');
  expect(await hold.wait('2')).toBe('stale');
  expect(await hold.clear('')).toBe('stale');
  expect(await stage.redis.hgetall(stage.keys.hold)).toEqual(before);
});

test('of many that say so at once, one sets the hold', async () => {
  const { stage } = start();
  const processes = [1, 2, 3].map(() => createHoldState(stage.connect(), stage.keys));
  const changes = await Promise.all(Array.from({ length: 12 }, (_, i) => processes[i % 3]?.set('0', why)));
  expect(changes.filter((change) => change === 'set')).toHaveLength(1);
  expect(changes.filter((change) => change === 'stale')).toHaveLength(11);
});

test('pause and resume are an operator’s: no probe ends them, and they end no hold', async () => {
  const { stage, hold } = start();
  await hold.set('0', why);
  expect(await operate(stage, 'pause')).toBe('paused');
  expect(await operate(stage, 'pause')).toBe('same');
  expect(await hold.read()).toMatchObject({ epoch: '2', paused: true, hold: why });
  expect(await hold.clear('2')).toBe('cleared');
  expect(await hold.read()).toMatchObject({ epoch: '3', paused: true, hold: null });
  expect(await operate(stage, 'resume')).toBe('resumed');
  expect(await operate(stage, 'resume')).toBe('same');
  expect(await hold.read()).toMatchObject({ epoch: '4', paused: false });
});

test('every change is told on the channel, and nothing else is', async () => {
  const { stage, hold } = start();
  const told: string[] = [];
  const subscriber = stage.connect();
  subscriber.on('message', (_channel: string, message: string) => told.push(message));
  await subscriber.subscribe(stage.keys.holdChannel);
  await hold.set('0', why);
  await hold.set('1', why);
  await hold.wait('1');
  await hold.clear('0');
  await hold.clear('1');
  await operate(stage, 'pause');
  await operate(stage, 'pause');
  await operate(stage, 'resume');
  await eventually('four changes', () => told.length >= 4);
  expect(told).toEqual(['1', '2', '3', '4']);
});

test('a watch knows the newest epoch, and starts anew when Redis was emptied', async () => {
  const { stage, hold } = start();
  const watch = await watchHold(stage.connect(), stage.keys);
  await hold.set('0', why);
  await eventually('told', () => watch.isCurrent('1'));
  expect(watch.isCurrent('0')).toBe(false);

  let now = 100;
  const rule = createHoldWatch(() => now);
  rule.told('5');
  now = 200;
  rule.heardOf('4', 90);
  expect(rule.isCurrent('5')).toBe(true);
  rule.heardOf('0', 150);
  expect(rule.isCurrent('0')).toBe(true);
});
