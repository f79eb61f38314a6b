import { createCallClaims } from '../../src/intake/call-claims.ts';
import { type Coalescer, startCoalescer } from '../../src/intake/coalescer.ts';
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
  /** Runs, in order. */
  const expected: string[] = [];
  const taken: {
    readonly run: string;
    readonly users: number;
    readonly wasExpected: boolean;
    /** Cuts whose answers were on their way, this one's included. */
    readonly onTheWay: number;
  }[] = [];
  let looks = 0;
  running.push(
    startCoalescer({
      redis,
      blocking: connect(),
      keys,
      limits: { ...limits, maxUsers: 10, maxWaitMs, eagerCalls: 0 },
      processId: 'p1',
      place: async () => {
        looks += 1;
        return () => undefined;
      },
      nextClaim: createCallClaims(() => crypto.randomUUID()),
      expectCall: ({ run }) => expected.push(run),
      take: (call, leave) => {
        const onTheWay = looks - taken.length;
        taken.push({ run: call.run, users: call.users, wasExpected: expected.includes(call.run), onTheWay });
        leave();
      },
      handOver: async () => undefined,
      onTrouble: (error) => {
        throw error;
      },
    }),
  );
  return { expected, taken, looks: () => looks };
}

test('under a backlog no call is expected: others wait for slots and are ready for them', async () => {
  const { taken } = await coalescing(25, 60_000);
  await eventually('two are taken', () => taken.length === 2);
  expect(taken.map((call) => call.users)).toEqual([10, 10]);
  expect(taken.map(({ wasExpected }) => wasExpected)).toEqual([false, false]);
});

test('a call that has waited for long is expected, most of the time: it may become due as it is looked at', async () => {
  const several = await Promise.all(Array.from({ length: 7 }, () => coalescing(5, 300)));
  await eventually('all are taken', () => several.every(({ taken }) => taken.length === 1));
  expect(several.filter(({ taken }) => taken[0]?.wasExpected).length).toBeGreaterThanOrEqual(4);
});

test('while a call fills up none is expected', async () => {
  const { expected, taken, looks } = await coalescing(1, 60_000);
  await eventually('it looks again and again', () => looks() > 4);
  expect(expected).toEqual([]);
  expect(taken).toEqual([]);
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
