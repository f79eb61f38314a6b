import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient, type Slot, type SlotClient } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

interface Desk {
  readonly stage: Stage;
  readonly book: SlotClient;
  readonly pace: string;
  /** A process configured to so many calls a second. */
  bookOf(perSecond: number): SlotClient;
  /** What a call of the rate in force knows, granted so long after the last change. */
  slot(rate: number, afterMicros?: number): Promise<Slot>;
  /** Moves what throttle.lua wrote into the past. */
  age(micros: number): Promise<void>;
}

function desk(): Desk {
  const stage = fresh();
  const { redis, keys } = stage;
  const pace = keys.pacePrefix + BATCH;
  const bookOf = (perSecond: number): SlotClient =>
    createSlotClient(redis, keys, BATCH, createRedisClock(), 1_000_000 / perSecond);
  return {
    stage,
    pace,
    book: bookOf(100),
    bookOf,
    slot: async (rate, afterMicros = 1) => {
      const [seconds = '0', micros = '0'] = (await redis.time()).map(String);
      const now = Number(seconds) * 1e6 + Number(micros);
      const cutAt = Number((await redis.hget(pace, 'cutAt')) ?? now);
      return {
        atLocalMs: 0,
        atRedisMs: (cutAt + afterMicros) / 1_000,
        epoch: '0',
        probe: false,
        heldMs: 0,
        number: '1',
        ratePerSecond: rate,
      };
    },
    age: async (micros) => {
      for (const field of ['cutAt', 'cutSince', 'refusedAt']) await redis.hincrby(pace, field, -micros);
    },
  };
}

const rateOf = async (book: SlotClient): Promise<number> => (await book.look()).ratePerSecond;

describe('quotas that differ', () => {
  test('the lowest counts for all, for as long as it is heard of', async () => {
    const { stage, pace, book, bookOf } = desk();
    expect(await book.rate()).toEqual({ ratePerSecond: 100, fullRatePerSecond: 100 });
    expect((await bookOf(40).rate()).ratePerSecond).toBe(40);
    expect((await book.rate()).ratePerSecond).toBe(40);
    expect((await bookOf(70).rate()).fullRatePerSecond).toBeCloseTo(40);
    await stage.redis.hincrby(pace, 'slowestAt', -15_100_000);
    expect((await book.rate()).ratePerSecond).toBe(100);
  });

  test('slots are spaced by the lowest', async () => {
    const { stage, pace, book, bookOf } = desk();
    await stage.redis.hset(pace, 'next', '0');
    await stage.redis.hset(`${stage.keys.callPrefix}c1`, 'run', 'mine');
    await bookOf(1).rate();
    const ask = () => book.ask([{ callId: 'c1', run: 'mine', slotClass: 'live' }]);
    const [first, second] = [await ask(), await ask()];
    if (first.kind !== 'slot' || second.kind !== 'slot') throw new Error('no slot');
    expect(second.slot.atRedisMs - first.slot.atRedisMs).toBeCloseTo(1_000, 3);
  });

  test('somebody who makes no calls only looks', async () => {
    const { stage, pace, book } = desk();
    await book.look();
    expect(await stage.redis.exists(pace)).toBe(0);
  });
});

describe('"too often"', () => {
  test('halves the rate, once for the refusals of one moment, and never below the floor', async () => {
    const { book, slot, age } = desk();
    expect(await book.throttle(await slot(100), 0)).toBe(50);
    // A call that was granted before the cut says nothing about the rate since.
    expect(await book.throttle(await slot(100, 0), 0)).toBeNull();
    expect(await book.throttle(await slot(100, -1_000_000), 0)).toBeNull();
    await age(1_000_000);
    expect(await book.throttle(await slot(50), 0)).toBe(25);
    for (let i = 0; i < 6; i++) await book.throttle(await slot(await rateOf(book)), 0);
    expect(await rateOf(book)).toBeGreaterThanOrEqual(2);
  });

  test('climbs to near where it was refused within 3 s, feels for the limit for 2 s, then runs', async () => {
    const { book, slot, age, stage, pace } = desk();
    await book.rate();
    await book.throttle(await slot(50), 0);
    const rates: number[] = [];
    for (const seconds of [0, 1.5, 1.5, 1, 1, 0.5, 0.5]) {
      await age(seconds * 1_000_000);
      rates.push(Math.floor(await rateOf(book)));
    }
    // Between the lines: what the test itself takes.
    const least = [25, 36, 48, 50, 52, 78, 100];
    expect(rates.map((rate, i) => rate >= (least[i] ?? 0) && rate <= (least[i] ?? 0) + 4)).toEqual(
      least.map(() => true),
    );
    expect(await stage.redis.hmget(pace, 'cutAt', 'cutCeiling', 'cutSince', 'refusedAt')).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  test.each([
    [60, 6],
    [3_600, 10],
  ])('of a limit that has stood for %i s it climbs back within %i s', async (stoodSeconds, climbSeconds) => {
    const { book, slot, age, stage, pace } = desk();
    await book.throttle(await slot(50), 0);
    await stage.redis.hincrby(pace, 'cutSince', -stoodSeconds * 1_000_000);
    await age((climbSeconds - 1) * 1_000_000);
    expect(await rateOf(book)).toBeLessThan(48);
    await age(1_000_000);
    expect(Math.floor(await rateOf(book))).toBe(48);
    await stage.redis.hset(pace, 'refusedAt', '1');
    // Refused again: it is the same limit still.
    await book.throttle(await slot(50), 0);
    const [cutAt, since] = (await stage.redis.hmget(pace, 'cutAt', 'cutSince')).map(Number);
    expect((cutAt ?? 0) - (since ?? 0)).toBeGreaterThan(stoodSeconds * 1_000_000);
  });

  test('what is refused within the second after lowers the rate, and teaches nothing of the limit', async () => {
    const { book, slot, stage, pace } = desk();
    await book.throttle(await slot(50), 0);
    expect(await book.throttle(await slot(25), 0)).toBe(12.5);
    expect(await stage.redis.hmget(pace, 'cutBase', 'cutCeiling')).toEqual(['12.5', '50']);
    await stage.redis.hincrby(pace, 'refusedAt', -1_200_000);
    expect(await book.throttle(await slot(13), 0)).toBe(6.5);
    expect(await stage.redis.hget(pace, 'cutCeiling')).toBe('13');
  });

  test("a limit that stands since Redis's clock was set back stands since now", async () => {
    const { book, slot, stage, pace } = desk();
    await book.throttle(await slot(50), 0);
    const hour = 3_600_000_000;
    for (const field of ['cutAt', 'cutSince', 'refusedAt']) await stage.redis.hincrby(pace, field, hour);
    expect(await rateOf(book)).toBeCloseTo(25, 0);
    // Refused at a time that is to come: no echo, and no limit that was near before.
    await stage.redis.hincrby(pace, 'cutAt', -1_000);
    expect(await book.throttle(await slot(48), 0)).toBeCloseTo(48 * 0.85, 2);
    const [cutAt, since, refusedAt] = (await stage.redis.hmget(pace, 'cutAt', 'cutSince', 'refusedAt')).map(
      Number,
    );
    expect([since, refusedAt]).toEqual([cutAt, cutAt]);
  });

  test('near the limit that was found it takes off little', async () => {
    const { book, slot, age } = desk();
    await book.throttle(await slot(40), 0);
    await age(5_000_000);
    expect(await book.throttle(await slot(38), 0)).toBeCloseTo(38 * 0.85, 2);
  });

  test('Retry-After is obeyed up to a minute, and a shorter one does not end a longer', async () => {
    const { stage, book, slot, pace } = desk();
    await stage.redis.hset(pace, 'next', '0');
    await stage.redis.hset(`${stage.keys.callPrefix}c1`, 'run', 'mine');
    const wait = async (): Promise<number> => {
      const answer = await book.ask([{ callId: 'c1', run: 'mine', slotClass: 'live' }]);
      return answer.kind === 'later' ? answer.waitMs : 0;
    };
    await book.throttle(await slot(100), 30_000);
    expect(await wait()).toBeGreaterThan(20_000);
    await book.throttle(await slot(50), 1_000);
    expect(await wait()).toBeGreaterThan(20_000);
    await book.throttle(await slot(50), 86_400_000);
    expect(await wait()).toBeGreaterThan(50_000);
    expect(await wait()).toBeLessThanOrEqual(60_000);
  });
});
