import { setTimeout as sleep } from 'node:timers/promises';
import { UserCreatedProducer } from '../../src/index.ts';
import { eventually } from '../../test/support/eventually.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import { median, percentile } from '../measure/spread.ts';
import type { CurveChart } from '../report/chart.ts';
import { type Target, US } from '../report/row.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { type CrowdUser, wrongAccounts, wrongBooks } from '../stage/crowd.ts';
import { openEventPeer } from '../stage/event-peer.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { onStage, type Stage } from '../stage/stage.ts';
import { produceSteadily } from '../stage/steady-load.ts';
import { waitsAt } from '../stage/waits-at.ts';
import { BATCHER, measureBatcher } from './latency-floor.ts';
import { API_LATENCY } from './quota.ts';

const FULL_RATE = 9_000;
const JUST_STARTED_RATE = 15;
/** From here on calls fill up before they have waited for long. */
const FILLS_FROM = 5_000;
const RATES = [1, 15, 25, 500, 5_000, FULL_RATE] as const;
/** Below 20 % of the quota events do not wait for company. */
const QUIET_BELOW = 20;
const MAX_WAIT_MS = 200;
const USERS_A_CALL = 100;
const MARGIN_MS = 25;
/** What is left of the way without coalescing, slots, order and books. */
export const PARTS = 'the parts alone: a BullMQ job, and got';

/** What p99 may be at a rate, ms: the wait that fills a call, or the longest one allowed, and a margin. */
export function boundMs(perSecond: number): number {
  if (perSecond < QUIET_BELOW) return 15;
  return Math.min(MAX_WAIT_MS, (1000 * USERS_A_CALL) / perSecond) + MARGIN_MS;
}

export const latency: Bench = {
  name: 'latency',
  about:
    'from the acknowledgement of an event to the arrival of its call, 2 workers, at the documented quota',
  runs: 2,
  async run(context) {
    const figures = createFigures();
    const problems = [
      ...(await measureUs(context, figures)),
      ...(await measureParts(context, figures)),
      ...(await measureFloor(context, figures)),
    ];
    return { rows: figures.rows(), problems, charts: [chartOf(figures)] };
  },
};

const WORKERS = 2;
const PARTS_CONCURRENCY = 50;

/** At 15/s long enough that p99 is not the worst of all. */
function forMsAt(perSecond: number, { quick }: BenchContext): number {
  const forMs = perSecond === 1 ? 8_000 : perSecond < QUIET_BELOW ? 10_000 : 3_000;
  return quick ? forMs / 2 : forMs;
}

/**
 * A rush of so long comes before all that is measured, ms: a process that has just started runs code that is not compiled, and
 * its first minute shows that. Told apart are the rush, and what comes before it.
 */
function rushMs({ quick }: BenchContext): number {
  return quick ? 1_000 : 8_000;
}
function justStartedMs({ quick }: BenchContext): number {
  return quick ? 2_000 : 4_000;
}

function addWaits(
  figures: Figures,
  context: BenchContext,
  perSecond: number,
  waitsMs: readonly number[],
  who = US,
) {
  const [p50, p99] = [percentile(waitsMs, 0.5), percentile(waitsMs, 0.99)];
  const at = `${perSecond} events/s`;
  const ours = who === US;
  figures.add(
    { what: `${at}: p50`, who, unit: 'ms', ...(ours && perSecond < QUIET_BELOW && p50Target) },
    p50,
  );
  figures.add(
    { what: `${at}: p99`, who, unit: 'ms', ...(ours && { target: { atMost: boundMs(perSecond) } }) },
    p99,
  );
  context.say(`${who}, ${at}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
}

/** Answers what went wrong. */
function measureUs(context: BenchContext, figures: Figures): Promise<string[]> {
  return onStage(context, { workers: WORKERS, simulate: API_LATENCY }, async (stage) => {
    // Worked on when it arrives and answered later, so that the receiver's note of an account is its arrival.
    await stage.simulator.setFaults({ workAt: 'at-arrival' });
    const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: stage.server.settings });
    const problems: string[] = [];
    const waitsAtRate = async (prefix: string, perSecond: number, forMs: number) => {
      const { waitsMs, wrong } = await measure(stage, producer, prefix, perSecond, forMs);
      problems.push(...wrong.map((problem) => `${perSecond} events/s: ${problem}`));
      return waitsMs;
    };
    /** Of processes that have just started. */
    const tellApart = (what: string, waitsMs: readonly number[]): void => {
      for (const share of [0.5, 0.99])
        figures.add({ what: `${what}: p${100 * share}`, unit: 'ms' }, percentile(waitsMs, share));
    };
    try {
      await measure(stage, producer, 'warm-', 2_000, 1_500);
      const young = await waitsAtRate('young-', JUST_STARTED_RATE, justStartedMs(context));
      tellApart(`${JUST_STARTED_RATE} events/s, just started`, young);
      const rush = await waitsAtRate('rush-', FULL_RATE, rushMs(context));
      tellApart(`${FULL_RATE} events/s, ${rushMs(context) / 1_000} s of it, just started`, rush);
      for (let run = 0; run < context.runs; run++) {
        for (const perSecond of RATES) {
          const waitsMs = await waitsAtRate(`r${run}at${perSecond}-`, perSecond, forMsAt(perSecond, context));
          addWaits(figures, context, perSecond, waitsMs);
        }
      }
      return problems;
    } finally {
      await producer.close();
    }
  });
}

/** A job an event and nothing else, at the rates at which an event does not wait for company. */
async function measureParts(context: BenchContext, figures: Figures): Promise<string[]> {
  const peer = await openEventPeer(WORKERS, PARTS_CONCURRENCY, 'bullmq-job-per-call');
  const send = async (users: readonly CrowdUser[]): Promise<void> => {
    await Promise.all(users.map((user) => peer.queue.add('users', [user])));
  };
  const problems: string[] = [];
  try {
    for (const worker of peer.workers) worker.begin();
    for (const [i, perSecond] of [200, ...RATES.filter((rate) => rate < QUIET_BELOW)].entries()) {
      const prefix = `parts${perSecond}-`;
      await peer.simulator.reset();
      const acknowledged = await produceSteadily(send, prefix, perSecond, forMsAt(perSecond, context));
      await eventually('the jobs of the parts have ended', async () => (await peer.left()) === 0);
      const accounts = await peer.simulator.accounts();
      const wrong = wrongAccounts([{ prefix, count: acknowledged.size }], accounts);
      problems.push(...wrong.map((problem) => `${PARTS}: ${problem}`));
      // The first ones warm it up.
      if (i > 0 && wrong.length === 0)
        addWaits(figures, context, perSecond, await waitsAt(peer.simulator, acknowledged, accounts), PARTS);
    }
    return problems;
  } finally {
    await peer.close();
  }
}

/** What the machine itself allows where calls fill up. */
async function measureFloor(context: BenchContext, figures: Figures): Promise<string[]> {
  const fast = RATES.filter((rate) => rate >= FILLS_FROM);
  const measured = await measureBatcher(fast, forMsAt(FULL_RATE, context));
  return [...measured].flatMap(([perSecond, { waitsMs, wrong }]) => {
    if (wrong.length === 0) addWaits(figures, context, perSecond, waitsMs, BATCHER);
    return wrong.map((problem) => `${BATCHER}: ${problem}`);
  });
}

const p50Target: { readonly target: Target } = { target: { atMost: 5 } };

async function measure(
  stage: Stage,
  producer: UserCreatedProducer,
  prefix: string,
  perSecond: number,
  forMs: number,
): Promise<{ readonly waitsMs: readonly number[]; readonly wrong: readonly string[] }> {
  // What counts as quiet is seen over a second.
  await sleep(1_100);
  await stage.simulator.reset();
  const before = await stage.books();
  const send = async (users: readonly CrowdUser[]): Promise<void> => {
    for (const one of await producer.addMany(users)) if (!one.ok) throw one.error;
  };
  const acknowledged = await produceSteadily(send, prefix, perSecond, forMs);
  const books = await stage.drained();
  const accounts = await stage.simulator.accounts();
  const crowd = { prefix, count: acknowledged.size };
  const wrong = [...wrongAccounts([crowd], accounts), ...wrongBooks(before, books, crowd.count)];
  if (wrong.length > 0) return { waitsMs: [0], wrong };
  return { waitsMs: await waitsAt(stage.simulator, acknowledged, accounts), wrong };
}

function chartOf(figures: Figures): CurveChart {
  const measured = (share: string) =>
    RATES.map((x) => ({ x, y: median(figures.values(`${x} events/s: ${share}`)) }));
  return {
    kind: 'curves',
    file: 'latency.svg',
    title: 'From the acknowledgement of an event to the arrival of its call',
    about:
      'Two workers at the documented quota. Below 20 calls a second events go at once, above they wait for company.',
    xLabel: 'events a second',
    yLabel: 'ms',
    curves: [
      { label: 'p50', dashed: false, points: measured('p50') },
      { label: 'p99', dashed: false, points: measured('p99') },
      { label: 'bound of p99', dashed: true, points: RATES.map((x) => ({ x, y: boundMs(x) })) },
    ],
  };
}
