import { performance } from 'node:perf_hooks';
import { waitUntil } from '../../src/lifecycle/wait.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient, type Slot, type SlotClient } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

/** 10 calls a second. */
const SPACING = 100_000;

interface Desk {
  readonly stage: Stage;
  readonly book: SlotClient;
  readonly paceKey: string;
  readonly startedKey: string;
  nowMicros(): Promise<number>;
  /** Sets the time of the next slot, from now. */
  next(inMicros: number): Promise<void>;
  /** A record whose run asks for a slot. */
  candidate(slotClass?: Candidate['slotClass']): Promise<Candidate>;
}

let calls = 0;

function desk(spacing = SPACING): Desk {
  const stage = fresh();
  const { redis, keys } = stage;
  const nowMicros = async (): Promise<number> => {
    const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
    return Number(seconds) * 1e6 + Number(micros);
  };
  const paceKey = keys.pacePrefix + BATCH;
  return {
    stage,
    book: createSlotClient(redis, keys, BATCH, createRedisClock(), spacing),
    paceKey,
    startedKey: keys.startedPrefix + BATCH,
    nowMicros,
    next: async (inMicros) => {
      await redis.hset(paceKey, 'next', String((await nowMicros()) + inMicros));
    },
    candidate: async (slotClass = 'live') => {
      const callId = `c${++calls}`;
      await redis.hset(keys.callPrefix + callId, 'run', 'mine');
      return { callId, run: 'mine', slotClass };
    },
  };
}

async function slotOf(book: SlotClient, candidate: Candidate): Promise<Slot> {
  const answer = await book.ask([candidate]);
  if (answer.kind !== 'slot') throw new Error(`no slot: ${JSON.stringify(answer)}`);
  return answer.slot;
}

describe('when', () => {
  test('who is far away gets slots that lie ahead, and who is near fills the time before the next of them', async () => {
    const { stage, book, candidate, next, nowMicros } = desk();
    const { redis, keys } = stage;
    const clock = { ...createRedisClock(), leadMs: () => 450 };
    const far = createSlotClient(redis, keys, BATCH, clock, SPACING);
    const one = await candidate();
    await next(-60e6);
    const beforeMicros = await nowMicros();
    const first = await slotOf(far, one);
    expect(first.atRedisMs * 1000 - beforeMicros).toBeGreaterThanOrEqual(450_000);
    // Five of its own at the most, and those that the far one cannot have.
    for (let i = 1; i <= 5; i++) {
      expect((await slotOf(book, one)).atRedisMs - first.atRedisMs).toBeCloseTo((i * SPACING) / 1000, 0);
    }
  });

  test('slots lie one spacing apart, and at most five are reserved ahead', async () => {
    const { book, next, candidate } = desk(10_000_000);
    await next(-1);
    const one = await candidate();
    const slots: Slot[] = [];
    // One now and five ahead of it; the seventh is one too many.
    for (let i = 0; i < 6; i++) slots.push(await slotOf(book, one));
    for (let i = 1; i < slots.length; i++)
      expect((slots[i]?.atRedisMs ?? 0) - (slots[i - 1]?.atRedisMs ?? 0)).toBeCloseTo(10_000, 6);
    const later = await book.ask([one]);
    expect(later.kind === 'later' && later.waitMs > 0 && later.waitMs <= 10_000).toBe(true);
    expect(new Set(slots.map(({ number }) => number)).size).toBe(6);
  });

  test.each([60e6, 5.01 * SPACING])(
    'no burst after idleness: %d us in which nobody asked are not made up for',
    async (idleMicros) => {
      const { book, next, candidate, nowMicros } = desk();
      await next(-idleMicros);
      const before = await nowMicros();
      const one = await candidate();
      const first = await slotOf(book, one);
      expect(first.atRedisMs * 1_000).toBeGreaterThanOrEqual(before);
      expect((await slotOf(book, one)).atRedisMs - first.atRedisMs).toBeCloseTo(100, 6);
    },
  );

  test('a moment in which nobody asked is made up for: the next slots lie nearer', async () => {
    const { book, next, candidate, stage, paceKey } = desk();
    // Of half a spacing a quarter is made up for with each slot; the rest of the test takes less than another one.
    await next(-0.5 * SPACING);
    const one = await candidate();
    const first = await slotOf(book, one);
    const lies: number[] = [];
    for (let i = 0; i < 4; i++) lies.push((await slotOf(book, one)).atRedisMs - first.atRedisMs);
    expect(lies[0]).toBeCloseTo(75, 2);
    expect(lies[1]).toBeCloseTo(150, 2);
    expect(lies[2]).toBeGreaterThan(225);
    expect(lies[3]).toBeCloseTo((lies[2] ?? 0) + 100, 2);
    expect(await stage.redis.hget(paceKey, 'behind')).toBe('0');
  });

  test('of many such moments no more than five spacings are made up for', async () => {
    const { book, next, candidate, stage, paceKey } = desk();
    const one = await candidate();
    for (let i = 0; i < 4; i++) {
      await next(-4 * SPACING);
      await slotOf(book, one);
    }
    expect(Number(await stage.redis.hget(paceKey, 'behind'))).toBe(5 * SPACING);
  });

  test('with no stored time the first slot is a second away: nobody knows what was started just now', async () => {
    const { book, candidate, nowMicros } = desk(1_000_000);
    const before = await nowMicros();
    const slot = await slotOf(book, await candidate());
    expect(slot.atRedisMs * 1_000).toBeGreaterThanOrEqual(before + 1_000_000);
    expect(slot.atRedisMs * 1_000).toBeLessThanOrEqual((await nowMicros()) + 1_000_000);
  });

  test('asking again does not push the first slot further away', async () => {
    const { book, candidate, stage, paceKey } = desk(10_000);
    const one = await candidate();
    const answer = await book.ask([one]);
    expect(answer.kind).toBe('later');
    const stored = await stage.redis.hget(paceKey, 'next');
    await book.ask([one]);
    expect(await stage.redis.hget(paceKey, 'next')).toBe(stored);
  });

  test('a time in the far future is from another clock: the next slot is a second away', async () => {
    const { book, next, candidate, nowMicros, stage, startedKey } = desk(1_000_000);
    await next(3_600e6);
    await stage.redis.zadd(startedKey, (await nowMicros()) + 3_600e6, 'by that clock');
    const before = await nowMicros();
    const at = (await slotOf(book, await candidate())).atRedisMs * 1_000;
    expect(at).toBeGreaterThanOrEqual(before + 1_000_000);
    expect(at).toBeLessThanOrEqual((await nowMicros()) + 1_000_000);
    // What that clock said of started calls says nothing now.
    expect(await stage.redis.zcard(startedKey)).toBe(1);
  });

  test('a time that reservations explain is kept', async () => {
    const { book, next, candidate, stage, paceKey } = desk();
    await next(5 * SPACING + 900_000);
    const stored = await stage.redis.hget(paceKey, 'next');
    expect((await book.ask([await candidate()])).kind).toBe('later');
    expect(await stage.redis.hget(paceKey, 'next')).toBe(stored);
  });

  test('after "too often" no slot is given until then, bounded by a minute', async () => {
    const { book, next, candidate, stage, paceKey, nowMicros } = desk();
    await next(-1);
    const one = await candidate();
    await stage.redis.hset(paceKey, 'notBefore', String((await nowMicros()) + 30e6));
    const later = await book.ask([one]);
    expect(later.kind === 'later' && later.waitMs > 20_000 && later.waitMs <= 30_000).toBe(true);
    await stage.redis.hset(paceKey, 'notBefore', String((await nowMicros()) + 3_600e6));
    const bounded = await book.ask([one]);
    expect(bounded.kind === 'later' && bounded.waitMs <= 60_000).toBe(true);
    await stage.redis.hset(paceKey, 'notBefore', String(await nowMicros()));
    await slotOf(book, one);
  });

  test('the time is told on the clock of the process', async () => {
    const { book, next, candidate, nowMicros } = desk();
    await next(300_000);
    const slot = await slotOf(book, await candidate());
    const redisMs = (await nowMicros()) / 1_000;
    const localMs = performance.now();
    expect(Math.abs(slot.atLocalMs - localMs - (slot.atRedisMs - redisMs))).toBeLessThan(500);
  });

  describe('a slot that was given up', () => {
    const afterwards = async ({ book }: Desk, one: Candidate, slot: Slot): Promise<number[]> => {
      const lies: number[] = [];
      for (let i = 0; i < 5; i++) {
        lies.push(Math.round((await slotOf(book, one)).atRedisMs - slot.atRedisMs));
      }
      return lies;
    };

    test('is no started call, and the next ones lie nearer until its time is made up for', async () => {
      const there = desk();
      const { book, next, candidate, stage, paceKey, startedKey } = there;
      await next(-60e6);
      const one = await candidate();
      const slot = await slotOf(book, one);
      expect(await stage.redis.zcard(startedKey)).toBe(1);
      await book.giveUp(slot);
      // Told twice, it is owed once.
      await book.giveUp(slot);
      expect(await stage.redis.zcard(startedKey)).toBe(0);
      expect(await stage.redis.hget(paceKey, 'givenUp')).toBe('1');
      expect(await afterwards(there, one, slot)).toEqual([75, 150, 225, 300, 400]);
    });

    test('is made up for within a second', async () => {
      const there = desk();
      const { book, next, candidate, stage, paceKey, nowMicros } = there;
      await next(-60e6);
      const one = await candidate();
      const slot = await slotOf(book, one);
      await book.giveUp(slot);
      await stage.redis.hset(paceKey, 'behindAt', (await nowMicros()) - 1_000_001);
      expect(await afterwards(there, one, slot)).toEqual([100, 200, 300, 400, 500]);
    });

    test('makes no room in a second that is full', async () => {
      // A quota of ten less the margin.
      const spacing = 101_010;
      const there = desk(spacing);
      const { book, next, candidate, stage, startedKey, nowMicros } = there;
      const one = await candidate();
      // Ten calls started in this second, nearer to each other than they should: the last of them just now.
      const now = await nowMicros();
      for (let i = 0; i < 10; i++) await stage.redis.zadd(startedKey, now - i * 70_000, `early${i}`);
      await next(-1);
      const slot = await slotOf(book, one);
      await book.giveUp(slot);
      // Eleven would be too many: ten spacings after the first of the ten.
      expect((await slotOf(book, one)).atRedisMs).toBeCloseTo((now - 630_000 + 10 * spacing) / 1000, 0);
    });
  });

  test('a call that left late counts from then: what comes a second later is put off by as much', async () => {
    const spacing = 101_010;
    const { book, next, candidate, startedKey, stage } = desk(spacing);
    const one = await candidate();
    await next(-1);
    const first = await slotOf(book, one);
    await book.leftLate(first, 60);
    const soon = async (): Promise<Slot> => {
      for (;;) {
        const answer = await book.ask([one]);
        if (answer.kind === 'slot') return answer.slot;
        if (answer.kind === 'later') await waitUntil(performance.now() + answer.waitMs);
      }
    };
    const lies: number[] = [];
    while (lies.length < 10) lies.push((await soon()).atRedisMs - first.atRedisMs);
    // Nine more fit into its second; the tenth is ten spacings after it left.
    expect(lies[8]).toBeLessThan((10 * spacing) / 1000);
    expect(lies[9]).toBeCloseTo((10 * spacing) / 1000 + 60, 0);
    // A slot that was given up is none to be late at.
    const last = await soon();
    await book.giveUp(last);
    await book.leftLate(last, 60);
    expect(await stage.redis.zscore(startedKey, last.number)).toBeNull();
  });

  test('started calls are remembered for two seconds', async () => {
    const { book, next, candidate, stage, startedKey, nowMicros } = desk();
    await next(-1);
    await stage.redis.zadd(
      startedKey,
      (await nowMicros()) - 2_100_000,
      'old',
      (await nowMicros()) - 900_000,
      'new',
    );
    const { number } = await slotOf(book, await candidate());
    expect(await stage.redis.zrange(startedKey, '0', '-1')).toEqual(['new', number]);
  });
});

describe('who', () => {
  test('a run that lost its record gets no slot, and none is used up', async () => {
    const { book, next, candidate, stage, paceKey } = desk();
    await next(-1);
    const [one, two] = [await candidate('live'), await candidate('retry')];
    await stage.redis.hset(stage.keys.callPrefix + two.callId, 'run', 'another');
    expect(await book.ask([one, two])).toMatchObject({ kind: 'lost', index: 1 });
    await stage.redis.del(stage.keys.callPrefix + one.callId);
    expect(await book.ask([one])).toMatchObject({ kind: 'lost', index: 0 });
    expect(await stage.redis.hget(paceKey, 'slots')).toBeNull();
    expect(await stage.redis.hget(stage.keys.callPrefix + two.callId, 'sentAt')).toBeNull();
  });

  test('the record of the call that may start says when; the others do not', async () => {
    const { book, next, candidate, stage } = desk();
    await next(-1);
    const [one, two] = [await candidate('live'), await candidate('retry')];
    const answer = await book.ask([one, two]);
    if (answer.kind !== 'slot') throw new Error(answer.kind);
    expect(answer.index).toBe(0);
    const sentAt = await stage.redis.hget(stage.keys.callPrefix + one.callId, 'sentAt');
    expect(Math.abs(Number(sentAt) - answer.slot.atRedisMs)).toBeLessThanOrEqual(1);
    expect(await stage.redis.hget(stage.keys.callPrefix + two.callId, 'sentAt')).toBeNull();
  });
});
