import { setTimeout as sleep } from 'node:timers/promises';
import { spacingMicros } from '../../src/pace/budget.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotBook } from '../../src/pace/slot.ts';
import { BATCH, type Stage, useStages } from './stage.ts';

const fresh = useStages();

/** Processes that always have a call waiting, until so many slots were given; their times in microseconds. */
async function compete(stage: Stage, spacing: number, processes: number, count: number): Promise<number[]> {
  const granted: number[] = [];
  const ask = async (): Promise<void> => {
    const redis = stage.connect();
    const book = createSlotBook(redis, stage.keys, BATCH, createRedisClock(), spacing);
    while (granted.length < count) {
      const answer = await book.ask([{ callId: 'c1', run: 'mine', slotClass: 'live' }]);
      if (answer.kind === 'slot') granted.push(answer.slot.atRedisMs * 1_000);
      else if (answer.kind === 'later') await sleep(answer.waitMs);
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

test('in no rolling second more slots than the rate, plus one, however many ask', async () => {
  const quota = { perSecond: 1_000, share: 1, margin: 0.01 };
  const stage = fresh();
  const granted = await compete(stage, spacingMicros(quota), 8, 1_800);
  expect(mostInOneSecond(granted)).toBeLessThanOrEqual(990 + 1);
  // However slow the askers: rounded to the microsecond, no two lie closer than 1/990 s.
  const gaps = granted.slice(1).map((at, i) => at - (granted[i] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_009);
}, 60_000);
