import { createHoldState, type HeardSlot, type HoldState } from '../../src/hold/hold-state.ts';
import { createHoldWatch, watchHold } from '../../src/hold/hold-watch.ts';
import { eventually } from '../support/eventually.ts';
import { type Stage, useStages } from './stage.ts';

const fresh = useStages();
const why = { errorCode: 60006, errorInfo: 'SDKAppID is invalid', kind: 'configuration' };
const answer = { errorCode: 70402, errorInfo: 'no' };
const call = (epoch: string): HeardSlot => ({ epoch, probe: false });
const probe = (epoch: string): HeardSlot => ({ epoch, probe: true });

function start(): { stage: Stage; hold: HoldState; field: (name: string) => Promise<string | null> } {
  const stage = fresh();
  const hold = createHoldState(stage.redis, stage.keys);
  return { stage, hold, field: (name) => stage.redis.hget(stage.keys.hold, name) };
}

test('at first nothing stops the fleet', async () => {
  const { hold } = start();
  expect(await hold.read()).toEqual({ epoch: '0', hold: null, proof: null, pause: null, heldMs: 0 });
});

describe('an answer of class app', () => {
  test('holds, with its reason and the time of the first probe; a new epoch', async () => {
    const { hold } = start();
    expect(await hold.blocked(call('0'), why)).toBe('set');
    const state = await hold.read();
    expect(state).toMatchObject({ epoch: '1', hold: why, proof: 'check', pause: null });
    expect((state.hold?.nextProbeAt ?? 0) - (state.hold?.since ?? 0)).toBe(1_000);
  });

  test('to the probe again: the gap doubles up to a minute; epoch and beginning stay', async () => {
    const { hold, field, stage } = start();
    await hold.blocked(call('0'), why);
    const since = (await hold.read()).hold?.since;
    const gaps: number[] = [];
    for (let i = 0; i < 8; i++) {
      await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999');
      expect(await hold.blocked(probe('1'), { ...why, errorCode: 60000 + i })).toBe('postponed');
      expect(await field('probeUntil')).toBeNull();
      gaps.push(Number(await field('probeGapMs')));
    }
    expect(gaps).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(await hold.read()).toMatchObject({ epoch: '1', hold: { errorCode: 60007, since } });
  });

  test('of another kind to the probe: its words and its proof, a new epoch, the same beginning', async () => {
    const { hold } = start();
    await hold.blocked(call('0'), why);
    const since = (await hold.read()).hold?.since;
    await hold.blocked(probe('1'), { errorCode: 70398, errorInfo: 'full', kind: 'quota' });
    expect(await hold.read()).toMatchObject({ epoch: '2', proof: 'new', hold: { kind: 'quota', since } });
  });

  test('may ask for a greater gap', async () => {
    const { hold, field } = start();
    await hold.blocked(call('0'), { ...why, minProbeGapMs: 60_000 });
    expect(await field('probeGapMs')).toBe('60000');
  });

  test('of many at once, one sets the hold', async () => {
    const { stage } = start();
    const processes = [1, 2, 3].map(() => createHoldState(stage.connect(), stage.keys));
    const words = await Promise.all(
      Array.from({ length: 12 }, (_, i) => processes[i % 3]?.blocked(call('0'), why)),
    );
    expect(words.filter((word) => word === 'set')).toHaveLength(1);
    expect(words.filter((word) => word === 'held')).toHaveLength(11);
  });

  test('the same code again within a minute: the gap goes on, and a call is the probe', async () => {
    const { hold, field, stage } = start();
    await hold.blocked(call('0'), why);
    await hold.blocked(probe('1'), why);
    await hold.success(probe('1'));
    await hold.blocked(call('2'), why);
    expect([await field('probeGapMs'), await field('proof')]).toEqual(['4000', 'import']);
    await hold.success(probe('3'));
    await stage.redis.hincrby(stage.keys.hold, 'clearedAt', -61_000);
    await hold.blocked(call('4'), why);
    expect([await field('probeGapMs'), await field('proof')]).toEqual(['1000', 'check']);
  });
});

describe('an answer from before the hold, or from before its end', () => {
  const operations: [string, (hold: HoldState, slot: HeardSlot) => Promise<string>][] = [
    ['blocked', (hold, slot) => hold.blocked(slot, { ...why, errorCode: 1 })],
    ['success', (hold, slot) => hold.success(slot)],
    ['bad', (hold, slot) => hold.bad(slot, 1_000, answer)],
    ['trouble', (hold, slot) => hold.trouble(slot, answer)],
    ['newcomer', (hold, slot) => hold.newcomer(slot, 'call:c1', true)],
    ['missed', (hold, slot) => hold.missed(slot)],
  ];
  test.each(operations)('%s changes nothing', async (_, operate) => {
    const { hold, stage } = start();
    await hold.blocked(call('0'), why);
    await hold.success(probe('1'));
    const free = await stage.redis.hgetall(stage.keys.hold);
    for (const slot of [call('0'), call('1'), probe('0'), probe('1'), call('')]) await operate(hold, slot);
    expect(await stage.redis.hgetall(stage.keys.hold)).toEqual(free);

    await hold.blocked(call('2'), why);
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '5');
    const held = await stage.redis.hgetall(stage.keys.hold);
    for (const slot of [call('0'), call('2'), probe('1'), probe('2'), call('')]) await operate(hold, slot);
    expect(await stage.redis.hgetall(stage.keys.hold)).toEqual(held);
  });
});

describe('what ends a hold', () => {
  test('success of the probe, and of no other call; the time held is kept', async () => {
    const { hold, stage } = start();
    await hold.blocked(call('0'), why);
    await stage.redis.hincrby(stage.keys.hold, 'heldSince', -5_000);
    expect(await hold.success(call('1'))).toBe('held');
    expect(await hold.success(probe('1'))).toBe('cleared');
    const state = await hold.read();
    expect(state).toMatchObject({ epoch: '2', hold: null, proof: null });
    expect(state.heldMs).toBeGreaterThanOrEqual(5_000);
    const left = Object.keys(await stage.redis.hgetall(stage.keys.hold)).sort();
    expect(left).toEqual(['clearedAt', 'clearedBy', 'clearedCode', 'clearedGapMs', 'epoch', 'heldMs']);
    // A clock that was set back takes nothing away again.
    await hold.blocked(call('2'), why);
    await stage.redis.hincrby(stage.keys.hold, 'heldSince', 3_600_000);
    await hold.success(probe('3'));
    expect((await hold.read()).heldMs).toBe(state.heldMs);
  });

  test('a refusal of the probe’s accounts, unless accounts are what is to be proved', async () => {
    const { hold, stage } = start();
    await hold.blocked(call('0'), why);
    expect(await hold.bad(probe('1'), 1, answer)).toBe('cleared');
    for (const kind of ['brake', 'quota']) {
      await hold.blocked(call((await hold.read()).epoch), why);
      await stage.redis.hset(stage.keys.hold, 'kind', kind);
      const { epoch } = await hold.read();
      expect(await hold.bad(probe(epoch), 1, answer)).toBe('postponed');
      expect((await hold.read()).epoch).toBe(epoch);
      await stage.redis.hset(stage.keys.hold, 'kind', 'configuration');
      await hold.success(probe(epoch));
    }
  });

  test('trouble of the probe proves nothing, and the lease is free for the next', async () => {
    const { hold, field, stage } = start();
    await hold.blocked(call('0'), why);
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999', 'nextProbeAt', '1');
    expect(await hold.trouble(probe('1'), answer)).toBe('waiting');
    expect(await field('probeUntil')).toBeNull();
    expect(Number(await field('nextProbeAt'))).toBeGreaterThan(1);
  });

  test('a probe that was not sent gives its lease back, and its time', async () => {
    const { hold, field, stage } = start();
    await hold.blocked(call('0'), why);
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999', 'nextProbeAt', '1');
    expect(await hold.missed(probe('1'))).toBe('waiting');
    expect([await field('probeUntil'), await field('nextProbeAt')]).toEqual([null, '1']);
  });

  test('account quota: the import of an account that did not exist, and no other', async () => {
    const { hold } = start();
    await hold.blocked(call('0'), { errorCode: 70398, errorInfo: '', kind: 'quota' });
    expect(await hold.read()).toMatchObject({ proof: 'new' });
    await hold.newcomer(probe('1'), 'call:c1', false);
    expect(await hold.success(probe('2'))).toBe('held');
    await hold.newcomer(probe('2'), 'call:c1', true);
    expect(await hold.success(probe('3'))).toBe('cleared');
  });
});

describe('the brake', () => {
  const bad = (hold: HoldState, users: number): Promise<string> => hold.bad(call('0'), users, answer);

  test('five refusals in a row over 100 users', async () => {
    const { hold, field } = start();
    for (let i = 0; i < 4; i++) expect(await bad(hold, 25)).toBe('noted');
    expect(await bad(hold, 25)).toBe('set');
    expect(await hold.read()).toMatchObject({
      epoch: '1',
      proof: 'scout',
      hold: { kind: 'brake', errorCode: 70402 },
    });
    const gaps: (string | null)[] = [];
    for (let i = 0; i < 5; i++) {
      await hold.bad(probe('1'), 1, answer);
      gaps.push(await field('probeGapMs'));
    }
    expect(gaps).toEqual(['0', '0', '1000', '2000', '3000']);
    expect(await field('leaseMs')).toBe('2000');
    await hold.success(probe('1'));
    expect(await field('leaseMs')).toBeNull();
  });

  test('not over fewer users, nor in fewer calls', async () => {
    const { hold } = start();
    for (let i = 0; i < 24; i++) expect(await bad(hold, 4)).toBe('noted');
    await hold.success(call('0'));
    for (let i = 0; i < 4; i++) expect(await bad(hold, 1_000)).toBe('noted');
    expect((await hold.read()).hold).toBeNull();
  });

  test('a success begins the row anew', async () => {
    const { hold } = start();
    for (let i = 0; i < 4; i++) await bad(hold, 100);
    expect(await hold.success(call('0'))).toBe('noted');
    for (let i = 0; i < 4; i++) expect(await bad(hold, 100)).toBe('noted');
    expect((await hold.read()).hold).toBeNull();
  });
});

describe('the outage', () => {
  const trouble = (hold: HoldState): Promise<string> => hold.trouble(call('0'), answer);

  test('three failures over five seconds', async () => {
    const { hold, stage } = start();
    for (let i = 0; i < 10; i++) expect(await trouble(hold)).toBe('noted');
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -5_000);
    expect(await trouble(hold)).toBe('set');
    expect(await hold.read()).toMatchObject({ epoch: '1', proof: 'import', hold: { kind: 'outage' } });
  });

  test('not two, however far apart; not with a success or a refusal in between', async () => {
    const { hold, stage } = start();
    await trouble(hold);
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -6_000);
    expect(await trouble(hold)).toBe('noted');
    await hold.success(call('0'));
    for (let i = 0; i < 2; i++) await trouble(hold);
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -6_000);
    await hold.bad(call('0'), 1, answer);
    expect(await trouble(hold)).toBe('noted');
    expect((await hold.read()).hold).toBeNull();
  });

  test('begins when the first call fell silent, which is not counted before it failed', async () => {
    const { hold, stage, field } = start();
    expect(await hold.silent(call('0'))).toBe('noted');
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -5_000);
    for (let i = 0; i < 5; i++) await hold.silent(call('0'));
    expect([await trouble(hold), await trouble(hold), await trouble(hold)]).toEqual([
      'noted',
      'noted',
      'set',
    ]);
    // One that is heard while held, or of another epoch, has nothing to add.
    expect(await hold.silent(call('1'))).toBe('held');
    await hold.success(probe('1'));
    expect(await hold.silent(call('0'))).toBe('noted');
    expect(await field('troubleSince')).toBeNull();
  });

  test('a success after the silence ends it', async () => {
    const { hold, stage } = start();
    await hold.silent(call('0'));
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -5_000);
    await hold.success(call('0'));
    for (let i = 0; i < 3; i++) expect(await trouble(hold)).toBe('noted');
  });

  test('a probe that fails when its lease is over puts off no other', async () => {
    const { hold, stage, field } = start();
    for (let i = 0; i < 2; i++) await trouble(hold);
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -5_000);
    expect(await trouble(hold)).toBe('set');
    await stage.redis.hset(stage.keys.hold, 'probeUntil', '99999999999999', 'nextProbeAt', '1');
    expect(await hold.trouble({ ...probe('1'), atRedisMs: Date.now() - 8_000 }, answer)).toBe('waiting');
    expect([await field('probeUntil'), await field('nextProbeAt')]).toEqual(['99999999999999', '1']);
    expect(await hold.trouble({ ...probe('1'), atRedisMs: Date.now() - 500 }, answer)).toBe('waiting');
    expect(await field('probeUntil')).toBeNull();
  });

  test('a probe of a hold that is no outage any more puts off the next one, however late it fails', async () => {
    const { hold, stage, field } = start();
    for (let i = 0; i < 2; i++) await trouble(hold);
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -5_000);
    await trouble(hold);
    expect(await field('leaseMs')).toBe('2000');
    await hold.blocked(probe('1'), why);
    expect(await field('leaseMs')).toBeNull();
    await hold.success(probe('2'));
    // As a version that knows no lease leaves it.
    await stage.redis.hset(stage.keys.hold, 'leaseMs', '2000');
    await hold.blocked(call('3'), why);
    expect(await field('leaseMs')).toBeNull();
    await stage.redis.hset(stage.keys.hold, 'nextProbeAt', '1');
    await hold.trouble({ ...probe('4'), atRedisMs: Date.now() - 8_000 }, answer);
    expect(Number(await field('nextProbeAt'))).toBeGreaterThan(1);
  });

  test('what lies further back than two minutes is not of the same row', async () => {
    const { hold, stage } = start();
    for (let i = 0; i < 3; i++) await trouble(hold);
    await stage.redis.hincrby(stage.keys.hold, 'troubleSince', -130_000);
    await stage.redis.hincrby(stage.keys.hold, 'troubleAt', -130_000);
    expect(await trouble(hold)).toBe('noted');
  });
});

test('pause and resume are an operator’s: no probe ends them, and they end no hold', async () => {
  const { hold } = start();
  await hold.blocked(call('0'), why);
  expect(await hold.pause('deploy', 5)).toBe('paused');
  expect(await hold.pause('again', 6)).toBe('same');
  expect(await hold.read()).toMatchObject({ epoch: '2', pause: { reason: 'deploy', since: 5 }, hold: why });
  expect(await hold.success(probe('2'))).toBe('cleared');
  expect(await hold.read()).toMatchObject({ epoch: '3', pause: { reason: 'deploy' }, hold: null });
  expect(await hold.resume()).toBe('resumed');
  expect(await hold.resume()).toBe('same');
  expect(await hold.read()).toMatchObject({ epoch: '4', pause: null });
});

test('every change is told on the channel, and a probe without proof once more, so that the next one starts', async () => {
  const { stage, hold } = start();
  const told: string[] = [];
  const subscriber = stage.connect();
  subscriber.on('message', (_channel: string, message: string) => told.push(message));
  await subscriber.subscribe(stage.keys.holdChannel);
  await hold.blocked(call('0'), why);
  await hold.blocked(probe('1'), why);
  await hold.trouble(probe('1'), answer);
  await hold.success(probe('0'));
  await hold.success(probe('1'));
  await hold.success(call('2'));
  await hold.pause('', 0);
  await hold.pause('', 0);
  await hold.resume();
  await eventually('four changes', () => told.includes('4'));
  expect(told).toEqual(['1', '1', '1', '2', '3', '4']);
});

test('a watch knows the newest epoch, and starts anew when Redis was emptied', async () => {
  const { stage, hold } = start();
  const watch = await watchHold(stage.connect(), stage.keys);
  await hold.blocked(call('0'), why);
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
