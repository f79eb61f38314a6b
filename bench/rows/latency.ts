import { setTimeout as sleep } from 'node:timers/promises';
import { UserCreatedProducer } from '../../src/index.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import { median, percentile } from '../measure/spread.ts';
import { waitsOf } from '../measure/waits.ts';
import type { CurveChart } from '../report/chart.ts';
import type { Target } from '../report/row.ts';
import type { Bench } from '../stage/bench.ts';
import { wrongAccounts, wrongBooks } from '../stage/crowd.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { onStage, type Stage } from '../stage/stage.ts';
import { produceSteadily } from '../stage/steady-load.ts';
import { API_LATENCY } from './quota.ts';

const RATES = [1, 15, 25, 500, 5_000, 9_000] as const;
/** Below 20 % of the quota events do not wait for company. */
const QUIET_BELOW = 20;
const MAX_WAIT_MS = 200;
const USERS_A_CALL = 100;
const MARGIN_MS = 25;

/** What p99 may be at a rate, ms: the wait that fills a call, or the longest one allowed, and a margin. */
export function boundMs(perSecond: number): number {
  if (perSecond < QUIET_BELOW) return 10;
  return Math.min(MAX_WAIT_MS, (1000 * USERS_A_CALL) / perSecond) + MARGIN_MS;
}

export const latency: Bench = {
  name: 'latency',
  about:
    'from the acknowledgement of an event to the arrival of its call, 2 workers, at the documented quota',
  runs: 2,
  run: (context) =>
    onStage(context, { workers: 2, simulate: API_LATENCY }, async (stage) => {
      // Worked on when it arrives and answered later, so that the receiver's note of an account is its arrival.
      await stage.simulator.setFaults({ workAt: 'at-arrival' });
      const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: stage.server.settings });
      const figures = createFigures();
      const problems: string[] = [];
      try {
        await measure(stage, producer, 'warm-', 2_000, 1_500);
        for (let run = 0; run < context.runs; run++) {
          for (const perSecond of RATES) {
            const forMs = (perSecond === 1 ? 8_000 : 3_000) / (context.quick ? 2 : 1);
            const { waitsMs, wrong } = await measure(
              stage,
              producer,
              `r${run}at${perSecond}-`,
              perSecond,
              forMs,
            );
            const [p50, p99] = [percentile(waitsMs, 0.5), percentile(waitsMs, 0.99)];
            const at = `${perSecond} events/s`;
            figures.add({ what: `${at}: p50`, unit: 'ms', ...(perSecond < QUIET_BELOW && p50Target) }, p50);
            figures.add({ what: `${at}: p99`, unit: 'ms', target: { atMost: boundMs(perSecond) } }, p99);
            problems.push(...wrong.map((problem) => `${at}: ${problem}`));
            context.say(`${at}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
          }
        }
      } finally {
        await producer.close();
      }
      return { rows: figures.rows(), problems, charts: [chartOf(figures)] };
    }),
};

const p50Target: { readonly target: Target } = { target: { atMost: 3 } };

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
  const acknowledged = await produceSteadily(producer, prefix, perSecond, forMs);
  const books = await stage.drained();
  const accounts = await stage.simulator.accounts();
  const crowd = { prefix, count: acknowledged.size };
  const wrong = [...wrongAccounts([crowd], accounts), ...wrongBooks(before, books, crowd.count)];
  if (wrong.length > 0) return { waitsMs: [0], wrong };
  const imported = new Map(
    [...accounts.values()].map(({ userId, importedAt }) => [
      userId,
      { userId, importedAtMs: Date.parse(importedAt) },
    ]),
  );
  const arrivalsMs = (await stage.simulator.calls()).map(({ arrivedAtMs }) => arrivedAtMs);
  return { waitsMs: waitsOf(acknowledged, imported, arrivalsMs), wrong };
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
