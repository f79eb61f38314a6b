import { Coalescer } from '../../src/intake/coalescer.ts';
import { eventually } from '../support/eventually.ts';
import { type FarProxy, startFarProxy } from '../support/far-proxy.ts';
import { limits, users, useStages } from './stage.ts';

const fresh = useStages();
const running: Coalescer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((coalescer) => coalescer.close()));
});

/** A coalescer whose calls end as they are taken. 10 users a call; never quiet. */
async function coalescing(waiting: number, maxWaitMs: number, way?: (port: number) => Promise<number>) {
  const { redis: near, keys, connect, connectBy, add } = fresh();
  const redis = way === undefined ? near : await connectBy(way);
  if (waiting > 0) await add(...users(waiting));
  const taken: {
    readonly run: string;
    readonly users: number;
    /** Cuts whose answers were on their way, this one's included. */
    readonly onTheWay: number;
  }[] = [];
  let looks = 0;
  const coalescer = new Coalescer({
    redis,
    blocking: connect(),
    keys,
    limits: { ...limits, maxUsers: 10, maxWaitMs, eagerCalls: 0 },
    place: async () => {
      looks += 1;
      return () => undefined;
    },
    newRun: () => crypto.randomUUID(),
    take: (call, leave) => {
      const onTheWay = looks - taken.length;
      taken.push({ run: call.run, users: call.users, onTheWay });
      leave();
    },
    handOver: async () => undefined,
    onTrouble: (error) => {
      throw error;
    },
  });
  running.push(coalescer);
  coalescer.start();
  return { taken, redis: near, add, looks: () => looks };
}

test('an event that comes to an empty intake wakes the loop; of a backlog full calls are cut', async () => {
  const lone = await coalescing(0, 1);
  await eventually('it blocks on the stream', async () =>
    (await lone.redis.info('clients')).includes('blocked_clients:1'),
  );
  await lone.add(...users(1));
  await eventually('it is taken', () => lone.taken.length === 1);
  const many = await coalescing(25, 60_000);
  await eventually('two are taken', () => many.taken.length === 2);
  expect(many.taken.map((call) => call.users)).toEqual([10, 10]);
});

test('a call that fills up while it lingers is cut long before it is due', async () => {
  const { taken, add, looks } = await coalescing(5, 600_000);
  await eventually('it lingers', () => looks() > 2);
  expect(taken).toEqual([]);
  await add(...users(5, 'late'));
  await eventually('it is taken', () => taken.length === 1);
  expect(taken[0]?.users).toBe(10);
});

test('under a backlog a far Redis is asked for the next calls before it has answered', async () => {
  let proxy: FarProxy | undefined;
  try {
    const { taken } = await coalescing(200, 60_000, async (port) => {
      proxy = await startFarProxy(port, Math.random);
      proxy.delay(60, 60);
      return proxy.port;
    });
    await eventually('all are taken', () => taken.length === 20);
    expect(taken.every((call) => call.users === 10)).toBe(true);
    expect(new Set(taken.map(({ run }) => run)).size).toBe(20);
    expect(Math.max(...taken.map(({ onTheWay }) => onTheWay))).toBeGreaterThan(2);
    // The last of them end before it does.
    await running.pop()?.close();
    expect(taken).toHaveLength(20);
  } finally {
    await proxy?.close();
  }
});
