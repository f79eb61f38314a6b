import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient, type SlotAnswer, withoutRecord } from '../../src/pace/slot.ts';
import { BATCH, useStages } from './stage.ts';

const fresh = useStages();

/** 10 calls a second. */
const SPACING = 100_000;

function desk() {
  const stage = fresh();
  const { redis, keys } = stage;
  const nowMicros = async (): Promise<number> => {
    const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
    return Number(seconds) * 1e6 + Number(micros);
  };
  return {
    ...stage,
    nowMicros,
    book: createSlotClient(redis, keys, BATCH, createRedisClock(), SPACING),
    next: async (inMicros: number) => {
      await redis.hset(keys.pacePrefix + BATCH, 'next', String((await nowMicros()) + inMicros));
    },
    candidate: async (slotClass: Candidate['slotClass']): Promise<Candidate> => {
      await redis.hset(keys.callPrefix + slotClass, 'run', 'mine');
      return { callId: slotClass, run: 'mine', slotClass };
    },
    hold: (proof: string, more: Record<string, string> = {}) =>
      redis.hset(keys.hold, {
        epoch: '1',
        held: '{"errorCode":60006,"errorInfo":"","kind":"configuration"}',
        kind: 'configuration',
        proof,
        heldSince: '1',
        nextProbeAt: '1',
        probeGapMs: '1000',
        ...more,
      }),
  };
}

function timeOf(answer: SlotAnswer): number {
  if (answer.kind !== 'slot') throw new Error(`no slot: ${JSON.stringify(answer)}`);
  return answer.slot.atRedisMs;
}

const lone = [withoutRecord('redrive')];

test('it shares the one budget: its slots and those of calls with a record lie one spacing apart', async () => {
  const { book, next, candidate } = desk();
  await next(-60e6);
  const times: number[] = [];
  for (const asking of [lone, [await candidate('live')], lone, [await candidate('retry')]])
    times.push(timeOf(await book.ask(asking)));
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  // More where this process was kept from asking; never less.
  for (const gap of gaps) expect(gap).toBeGreaterThan(99.99);
});

test('it obeys how far ahead slots go, and what a server asked for', async () => {
  const { book, next, redis, keys, nowMicros } = desk();
  await next(6 * SPACING + 50_000);
  expect(await book.ask(lone)).toMatchObject({ kind: 'later' });
  await next(0);
  await redis.hset(keys.pacePrefix + BATCH, 'notBefore', String((await nowMicros()) + 30_000_000));
  expect(await book.ask(lone)).toMatchObject({ kind: 'later' });
});

test('it writes nothing of a record, and no other run can take it away', async () => {
  const { book, next, redis, keys } = desk();
  await next(0);
  timeOf(await book.ask(lone));
  expect(await redis.keys(`${keys.callPrefix}*`)).toEqual([]);
  expect(await redis.exists(keys.hold)).toBe(0);
});

test('paused, it waits', async () => {
  const { book, next, redis, keys } = desk();
  await next(0);
  await redis.hset(keys.hold, 'paused', '{}');
  expect(await book.ask(lone)).toMatchObject({ kind: 'paused' });
});

test.each(['import', 'scout', 'check', 'new'])(
  'held (%s), it waits: it is never the probe',
  async (proof) => {
    const { book, next, hold } = desk();
    await next(0);
    await hold(proof);
    expect(await book.ask(lone)).toMatchObject({ kind: 'held', epoch: '1' });
  },
);

test('held, beside a call with a record, that one is the probe, whatever their classes', async () => {
  const { book, next, hold, candidate } = desk();
  await next(0);
  await hold('import');
  const answer = await book.ask([withoutRecord('live'), await candidate('retry')]);
  expect(answer).toMatchObject({ kind: 'slot', index: 1, slot: { probe: true } });
});

test('a hold for the quota waits for the call that was found, and not for it', async () => {
  const { book, next, hold, keys, candidate } = desk();
  await next(0);
  await hold('new', { newcomer: `${keys.callPrefix}retry`, newcomerUntil: String(Date.now() + 10_000) });
  expect(await book.ask(lone)).toMatchObject({ kind: 'held' });
  const answer = await book.ask([withoutRecord('live'), await candidate('retry')]);
  expect(answer).toMatchObject({ kind: 'slot', index: 1, slot: { probe: true } });
});

test('by its class it gives way: strict, but one slot in ten', async () => {
  const { book, next, candidate } = desk();
  const asking = [await candidate('live'), withoutRecord('redrive')];
  const chosen: number[] = [];
  for (let i = 0; i < 30; i++) {
    await next(0);
    const answer = await book.ask(asking);
    if (answer.kind === 'slot') chosen.push(answer.index);
  }
  expect(chosen).toHaveLength(30);
  expect(chosen.filter((index) => index === 1)).toHaveLength(3);
});
