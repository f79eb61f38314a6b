import { binned, marginNeeded, ratePerSecond } from '../measure/arrivals.ts';
import type { Target } from '../report/row.ts';
import { type Drained, drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { startIdleTimer } from '../stage/idle-timer.ts';
import { onStage, type Stage } from '../stage/stage.ts';

export const QUOTA = 100;
/** 1 % below the quota: what the fleet sends at. */
export const SENT_PER_SECOND = 99;
export const API_LATENCY = ['--latency', '50-150'] as const;

/** The floor of missed slots, measured meanwhile. */
const IDLE = 'a process that only waits, meanwhile';

/** The documented quota under a backlog, by 1, 2 and 4 processes. */
export const quota: Bench = {
  name: 'quota',
  about: 'a backlog at the documented quota of 100 calls/s, API latency 50–150 ms',
  runs: 3,
  run: (context) =>
    onStage(context, { simulate: API_LATENCY }, async (stage) => {
      const figures = createFigures();
      const problems: string[] = [];
      const idle = startIdleTimer();
      for (let run = 0; run < context.runs; run++) {
        await stage.stopWorkers();
        for (const processes of [1, 2, 4]) {
          while (stage.workers.length < processes) await stage.startWorker();
          await idle.missedShare();
          const drained = await backlog(stage, context, `r${run}p${processes}-`);
          const missedIdle = 100 * (await idle.missedShare());
          const name = processes === 1 ? '1 process' : `${processes} processes`;
          context.say(`${name}: ${ratePerSecond(drained.arrivalsMs).toFixed(1)} calls/s`);
          addUse(figures, name, drained);
          figures.add({ what: `${name}: slots missed`, who: IDLE, unit: '% of slots' }, missedIdle);
          addPace(figures, name, drained);
          problems.push(...drained.problems.map((problem) => `${name}: ${problem}`));
        }
      }
      idle.stop();
      return { rows: figures.rows(), problems };
    }),
};

async function backlog(stage: Stage, context: BenchContext, prefix: string): Promise<Drained> {
  return drainBacklog(stage, [{ prefix, count: context.quick ? 25_000 : 50_000 }]);
}

function addUse(figures: Figures, name: string, drained: Drained): void {
  const { arrivalsMs, items, slotsGivenUp } = drained;
  addRate(figures, name, drained, { target: { atLeast: 98.5 } });
  const accounts = items.reduce((sum, n) => sum + n, 0) / items.length;
  figures.add({ what: `${name}: accounts a call`, unit: 'accounts', target: { atLeast: 99 } }, accounts);
  const share = (100 * slotsGivenUp) / (slotsGivenUp + arrivalsMs.length);
  figures.add({ what: `${name}: slots given up`, unit: '% of slots' }, share);
}

/** Whether the quota held; for this row and for those under disturbance. */
export function addPace(figures: Figures, name: string, drained: Drained): void {
  const { maxInRollingSecond, maxSurelyInRollingSecond, maxIn10Ms, maxSurelyIn10Ms, longestStallMs } =
    drained;
  const addMost = (width: string, stamped: number, surely: number, atMost: number): void => {
    const note = `${stamped} as stamped; the receiver was up to ${longestStallMs.toFixed(0)} ms late itself`;
    figures.add(
      {
        what: `${name}: most arrivals in ${width}`,
        unit: 'calls',
        target: { atMost, by: 'worst' },
        ...(stamped > surely && { note }),
      },
      surely,
    );
  };
  addMost('a rolling second', maxInRollingSecond, maxSurelyInRollingSecond, QUOTA);
  addMost('10 ms', maxIn10Ms, maxSurelyIn10Ms, 3);
  figures.add(
    { what: `${name}: margin that this jitter needs`, unit: '%' },
    100 * marginNeeded(drained.arrivalsMs, QUOTA, SENT_PER_SECOND),
  );
}

/** How much of the quota was used; `target` where something is asked for. */
export function addRate(
  figures: Figures,
  name: string,
  { arrivalsMs }: Drained,
  target?: { readonly target: Target },
): void {
  const use = (100 * ratePerSecond(arrivalsMs)) / QUOTA;
  figures.add({ what: `${name}: quota used`, unit: '% of calls/s', ...target }, use);
}

/** The strip of arrivals that the charts show: the three seconds from the first call on. */
export function stripOf(arrivalsMs: readonly number[]): number[] {
  return binned(arrivalsMs, arrivalsMs[0] ?? 0, STRIP_BIN_MS, STRIP_MS / STRIP_BIN_MS);
}
export const STRIP_BIN_MS = 10;
const STRIP_MS = 3_000;
