import { executedBy } from '../measure/monitor.ts';
import { drainBacklog } from '../stage/backlog.ts';
import type { Bench } from '../stage/bench.ts';
import { createFigures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, onStage } from '../stage/stage.ts';
import { scriptNames, watchCommands } from '../stage/watch-commands.ts';

const USERS_A_CALL = 100;
/** What the benchmark itself asks; the stream is filled by an EVAL. */
const OURS: ReadonlySet<string> = new Set(['totals.lua', 'ECHO', 'INFO', 'EVAL']);

/** Where Redis's work comes from, by script. Counted, not timed: the look itself slows Redis down. */
export const roundTrips: Bench = {
  name: 'round-trips',
  about:
    'what one call of 100 users asks of Redis, by script, under a backlog with the quota lifted, 1 worker',
  runs: 1,
  run: (context) =>
    onStage(context, { workers: 1, env: LIFTED_ENV, simulate: LIFTED_SIMULATOR }, async (stage) => {
      const figures = createFigures();
      const calls = context.quick ? 50 : 200;
      const watch = await watchCommands(stage.redis, stage.server.port);
      await watch.clear();
      const drained = await drainBacklog(stage, [{ prefix: 'u', count: calls * USERS_A_CALL }]);
      await watch.caughtUp();
      const nameOf = await scriptNames();
      const executed = executedBy(watch.lines, nameOf).filter(({ name }) => !OURS.has(name));
      watch.close();
      const sum = (pick: 'sent' | 'commands'): number =>
        executed.reduce((total, one) => total + one[pick], 0);
      figures.add({ what: 'sent by the worker', unit: 'commands a call' }, sum('sent') / calls);
      figures.add(
        { what: 'executed, those of scripts included', unit: 'commands a call' },
        sum('commands') / calls,
      );
      figures.add({ what: 'the same', unit: 'commands an event' }, sum('commands') / (calls * USERS_A_CALL));
      figures.add({ what: 'slots given up', unit: 'a call' }, drained.slotsGivenUp / calls);
      for (const { name, sent, commands } of executed.slice(0, 14)) {
        figures.add(
          { what: name, unit: 'commands a call', note: `sent ${(sent / calls).toFixed(2)} times` },
          commands / calls,
        );
      }
      return { rows: figures.rows(), problems: drained.problems };
    }),
};
