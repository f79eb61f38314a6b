import { performance } from 'node:perf_hooks';
import { readTextFile } from '../../src/cli/context.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/logging/log.ts';
import { createRedisLog } from '../../src/logging/redis-log.ts';
import { createRedisClock, type RedisClock } from '../../src/pace/redis-clock.ts';
import { type Candidate, createSlotClient } from '../../src/pace/slot.ts';
import { openPacing } from '../../src/worker/pacing.ts';
import { BATCH, useStages } from './stage.ts';

/**
 * Redis's clock was set forward by an hour: slots that were granted before still go out, and the script cannot tell the
 * step from an hour without calls. (With a clock that is really set: `npm run chaos -- clock-redis`.)
 */

const fresh = useStages();
const HOUR_MS = 3_600_000;
const SPACING_MICROS = 10_000;
/** What is reserved ahead at this spacing, with some to spare. */
const AHEAD_MS = 100;

async function twoProcesses() {
  const stage = fresh();
  const { redis, keys } = stage;
  const redisMs = async (): Promise<number> => {
    const [seconds, micros] = await redis.time();
    return Number(seconds) * 1e3 + Number(micros) / 1e3;
  };
  await redis.hset(`${keys.callPrefix}c1`, 'run', 'mine');
  await redis.hset(keys.pacePrefix + BATCH, 'next', String(((await redisMs()) - HOUR_MS) * 1e3));
  const process = (clock: RedisClock) => {
    const book = createSlotClient(redis, keys, BATCH, clock, SPACING_MICROS);
    const candidate: Candidate = { callId: 'c1', run: 'mine', slotClass: 'live' };
    return { book, clock, ask: () => book.ask([candidate]) };
  };
  const was = createRedisClock();
  const nowMs = performance.now();
  was.sample(nowMs - 1, nowMs, (await redisMs()) - HOUR_MS);
  return { old: process(was), joined: process(createRedisClock()) };
}

test('the slot by which a process sees it is of no use, and from then on none is given to any for a second and a half', async () => {
  const { old, joined } = await twoProcesses();
  const seen = await old.ask();
  expect(seen).toMatchObject({ kind: 'slot', slot: { atLocalMs: Number.NEGATIVE_INFINITY } });
  const later = await old.ask();
  expect(later).toMatchObject({ kind: 'later' });
  // It has seen nothing itself.
  const toldLater = await joined.ask();
  expect(joined.clock.settlesInMs(performance.now())).toBe(0);
  for (const answer of [later, toldLater]) {
    if (answer.kind !== 'later') throw new Error(`no 'later': ${JSON.stringify(answer)}`);
    expect(answer.waitMs).toBeGreaterThan(1_000 - AHEAD_MS);
    expect(answer.waitMs).toBeLessThan(1_510);
  }
});

test('the first slot after that is of use', async () => {
  const { old } = await twoProcesses();
  await old.ask();
  const sinceMs = performance.now();
  for (;;) {
    const answer = await old.ask();
    if (answer.kind === 'slot') {
      expect(answer.slot.atLocalMs - sinceMs).toBeGreaterThan(1_000);
      return;
    }
    if (answer.kind !== 'later') throw new Error(`neither slot nor 'later': ${JSON.stringify(answer)}`);
    const { waitMs } = answer;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
});

test('a process that only looked at the rate so far sees it too', async () => {
  const { old } = await twoProcesses();
  await old.book.look();
  expect(old.clock.settlesInMs(performance.now())).toBeGreaterThan(1_000);
});

test('a worker knows the clock before it asks for its first slot', async () => {
  const { redis, keys, connect } = fresh();
  const clock = createRedisClock();
  const { config } = loadConfig({ env: {}, readFile: readTextFile });
  const log = createRedisLog(createLogger('silent', {}, { write() {} }));
  await openPacing(config, { commands: redis, watch: connect(), log }, keys, [BATCH], clock);
  log.close();
  expect(clock.uncertaintyMs).toBeLessThan(10_000);
});
