import { setTimeout as sleep } from 'node:timers/promises';
import { spacingMicros } from '../../src/pace/budget.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

/**
 * Processes that always have a call waiting, until so many slots were given; the times of those that were used, in
 * microseconds. Of slots by their number in order: which are `missed` and given up, and after which the asker rests, ms.
 */
async function compete(
  stage: Stage,
  spacing: number,
  processes: number,
  count: number,
  missed: (n: number) => boolean = () => false,
  restMs: (n: number) => number = () => 0,
): Promise<number[]> {
  const granted: number[] = [];
  let given = 0;
  const ask = async (): Promise<void> => {
    const redis = stage.connect();
    const book = createSlotClient(redis, stage.keys, BATCH, createRedisClock(), spacing);
    while (given < count) {
      const answer = await book.ask([{ callId: 'c1', run: 'mine', slotClass: 'live' }]);
      if (answer.kind === 'slot') {
        const n = given++;
        if (missed(n)) await book.giveUp(answer.slot);
        else granted.push(answer.slot.atRedisMs * 1_000);
        if (restMs(n) > 0) await sleep(restMs(n));
      } else if (answer.kind === 'later') await sleep(answer.waitMs);
      else throw new Error(`no slot: ${answer.kind}`);
    }
  };
  await stage.redis.hset(`${stage.keys.callPrefix}c1`, 'run', 'mine');
  await Promise.all(Array.from({ length: processes }, ask));
  return granted.sort((a, b) => a - b);
}

function mostInOneSecond(granted: readonly number[]): number {
  let most = 0;
  for (let first = 0, last = 0; last < granted.length; last++) {
    while ((granted[last] ?? 0) - (granted[first] ?? 0) >= 1e6) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

test('in no rolling second more slots than the rate and half its margin, however many ask and however late', async () => {
  const quota = { perSecond: 1_000, share: 1, margin: 0.01 };
  const stage = fresh();
  const granted = await compete(stage, spacingMicros(quota), 8, 1_800);
  // 990 a second, and what was not asked for in time: 995 slots take 995 spacings, which is 5 ms more than a second.
  expect(mostInOneSecond(granted)).toBeLessThanOrEqual(995);
  // However slow the askers, whose time is made up for: rounded to the microsecond, three quarters of 1/990 s.
  const gaps = granted.slice(1).map((at, i) => at - (granted[i] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(757);
  // 1,001 in a second would break the quota. They take 995 spacings and five such gaps at the least: 8.8 ms more than a
  // second, of the 10 that they would take if they lay even.
  const beyond = granted.slice(1_000).map((at, i) => at - (granted[i] ?? 0));
  expect(Math.min(...beyond)).toBeGreaterThanOrEqual(Math.floor(995 * spacingMicros(quota)) + 5 * 757);
}, 60_000);

describe('made up for, with no room for a call more in any rolling second', () => {
  const quota = { perSecond: 100, share: 1, margin: 0.01 };
  const spacing = spacingMicros(quota);
  /** One in ten, then a stall of ten in a row, then none. */
  const missed = (n: number): boolean => n < 130 && (n % 10 === 7 || n >= 120);

  const late = (n: number): number => (n < 130 && n % 6 === 5 ? 90 : 0);

  test.each([
    ['slots that were given up', 3, missed, () => 0],
    ['moments in which nobody asked', 1, () => false, late],
  ] as const)(
    '%s',
    async (_, processes, isMissed, restMs) => {
      const used = await compete(fresh(), spacing, processes, 340, isMissed, restMs);
      const gaps = used.slice(1).map((at, i) => at - (used[i] ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0.75 * spacing - 2);
      expect(gaps.filter((gap) => gap < 0.9 * spacing).length).toBeGreaterThan(10);
      // As evenly spaced slots would: 100 of them take 100 spacings, whatever was missed before or among them.
      const hundreds = used.slice(100).map((at, i) => at - (used[i] ?? 0));
      expect(Math.min(...hundreds)).toBeGreaterThanOrEqual(100 * spacing - 200);
    },
    60_000,
  );
});
