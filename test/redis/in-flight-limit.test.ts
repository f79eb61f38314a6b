import { createHoldState } from '../../src/hold/hold-state.ts';
import { createRedisClock } from '../../src/pace/redis-clock.ts';
import { createSlotClient } from '../../src/pace/slot.ts';
import { closeRedis } from '../../src/redis/connect.ts';
import { createInFlightLimit, type Obstacle } from '../../src/tasks/backfill/in-flight-limit.ts';
import { eventually } from '../support/eventually.ts';
import { BATCH, SINGLE, type Stage, users, useStages } from './stage.ts';

/** An obstacle stops an import from adding rows. When the obstacle is gone, the import goes on by itself. */
const fresh = useStages();

function limitOf({ keys, connect }: Stage) {
  const redis = connect();
  const slotsOf = (command: string) => createSlotClient(redis, keys, command, createRedisClock(), 10_000);
  const seen: (Obstacle | undefined)[] = [];
  const stop = new AbortController();
  const limit = createInFlightLimit({
    redis,
    keys,
    commands: { batch: BATCH, single: SINGLE },
    slots: { batch: slotsOf(BATCH), single: slotsOf(SINGLE) },
    usersPerBatch: 100,
    signal: stop.signal,
    onObstacle: (obstacle) => seen.push(obstacle),
  });
  return { redis, seen, stop, ask: () => limit(100, 0) };
}

const full = (share: number) => async (stage: Stage) => {
  // An empty server has 1 MB in use, of which the buffer of one connection is a good part: it comes and goes.
  await stage.redis.setrange('ballast', 16_000_000, 'x');
  const used = Number(/used_memory:(\d+)/.exec(await stage.redis.info('memory'))?.[1]);
  await stage.redis.config('SET', 'maxmemory', String(Math.round(used / share)));
};
const app = { errorCode: 60006, errorInfo: 'SDKAppID is invalid', kind: 'configuration' };

const obstacles: [Obstacle, (stage: Stage) => Promise<unknown>, (stage: Stage) => Promise<unknown>][] = [
  ['memory', full(0.88), ({ redis }) => redis.config('SET', 'maxmemory', '0')],
  [
    'paused',
    ({ redis, keys }) => createHoldState(redis, keys).pause('for lunch', 0),
    ({ redis, keys }) => createHoldState(redis, keys).resume(),
  ],
  [
    'held',
    ({ redis, keys }) => createHoldState(redis, keys).blocked({ epoch: '0', probe: false }, app),
    ({ redis, keys }) => createHoldState(redis, keys).success({ epoch: '1', probe: true }),
  ],
  ['busy', ({ add }) => add(...users(5_000)), ({ redis, keys }) => redis.del(keys.stream)],
];

test.each(obstacles)('an import waits while this obstacle lasts: %s', async (obstacle, begin, end) => {
  const stage = fresh();
  const { seen, ask } = limitOf(stage);
  expect(await ask()).toBeGreaterThan(0);
  expect(seen).toEqual([undefined]);
  await begin(stage);
  let given = 0;
  const filling = (async () => {
    while (!seen.includes(obstacle)) given = await ask();
  })();
  await eventually('it is seen twice', () => seen.filter((one) => one === obstacle).length >= 2);
  await end(stage);
  await filling;
  expect(given).toBeGreaterThan(0);
  expect(new Set(seen)).toEqual(new Set([undefined, obstacle]));
});

test('an import waits while Redis is away, and ends when it is aborted', async () => {
  const { redis, seen, stop, ask } = limitOf(fresh());
  await closeRedis(redis);
  const asked = ask().catch((error: Error) => error.name);
  await eventually('it is seen twice', () => seen.length >= 2);
  expect(new Set(seen)).toEqual(new Set(['redis']));
  stop.abort();
  expect(await asked).toBe('AbortError');
});
