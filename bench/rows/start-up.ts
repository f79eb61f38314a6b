import { eventually } from '../../test/support/eventually.ts';
import type { Bench } from '../stage/bench.ts';
import { fill, wrongAccounts } from '../stage/crowd.ts';
import { createFigures } from '../stage/figures.ts';
import { onStage } from '../stage/stage.ts';

const WAITING = 20_000;

/** A process that starts on a Redis where a fleet has left work. */
export const startUp: Bench = {
  name: 'start-up',
  about: 'from the start of a process to the arrival of its first call, with 20,000 events waiting',
  runs: 3,
  run: (context) =>
    onStage(context, { workers: 1 }, async (stage) => {
      const figures = createFigures();
      const { redis, keys, simulator } = stage;
      const before = { prefix: 'before', count: 1_000 };
      await fill(redis, keys.stream, before);
      await stage.drained();
      await stage.stopWorkers();
      const crowd = { prefix: 'waiting', count: WAITING };
      await fill(redis, keys.stream, crowd);
      for (let run = 0; run < context.runs; run++) {
        const known = (await simulator.report()).allCommands.calls;
        const startedAtMs = performance.timeOrigin + performance.now();
        const worker = await stage.startWorker();
        await eventually('a call', async () => (await simulator.report()).allCommands.calls > known);
        const first = (await simulator.calls())[known];
        figures.add(
          { what: 'process start to first call', unit: 'ms', target: { atMost: 1_000 } },
          (first?.arrivedAtMs ?? Number.NaN) - startedAtMs,
        );
        await stage.stopWorkers([worker]);
      }
      await stage.startWorker();
      await stage.drained();
      return { rows: figures.rows(), problems: wrongAccounts([before, crowd], await simulator.accounts()) };
    }),
};
