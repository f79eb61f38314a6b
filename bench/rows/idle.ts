import { setTimeout as sleep } from 'node:timers/promises';
import { executedBy } from '../measure/monitor.ts';
import { processCpuMicros } from '../measure/process-cost.ts';
import { parseServerCost } from '../measure/server-info.ts';
import type { Bench } from '../stage/bench.ts';
import { fill, wrongAccounts } from '../stage/crowd.ts';
import { openEventPeer } from '../stage/event-peer.ts';
import { createFigures } from '../stage/figures.ts';
import { onStage } from '../stage/stage.ts';
import { scriptNames, watchCommands } from '../stage/watch-commands.ts';
import { JOB_PER_EVENT } from './drain.ts';

/** The first sweep, 5 s after the start, asks three questions that no later one asks. */
const SETTLED_MS = 8_000;

/** What a process costs that has nothing to do, after it had something to do. */
export const idle: Bench = {
  name: 'idle',
  about: 'one process with nothing to do',
  runs: 1,
  async run(context) {
    const figures = createFigures();
    // Whole rounds: the longest wait between two looks of an idle process is 5 s.
    const forMs = context.quick ? 5_000 : 10_000;
    const problems = await onStage(context, { workers: 1 }, async (stage) => {
      const crowd = { prefix: 'before', count: 5_000 };
      await fill(stage.redis, stage.keys.stream, crowd);
      await stage.drained();
      await sleep(SETTLED_MS);
      const watch = await watchCommands(stage.redis, stage.server.port);
      await watch.clear();
      const cpuBefore = stage.workerCpuMicros();
      const startedMs = performance.now();
      await sleep(forMs);
      const seconds = (performance.now() - startedMs) / 1000;
      const core = (stage.workerCpuMicros() - cpuBefore) / (1e4 * seconds);
      await watch.caughtUp();
      watch.close();
      const executed = executedBy(watch.lines, await scriptNames()).filter(({ name }) => name !== 'ECHO');
      const sent = executed.reduce((sum, one) => sum + one.sent, 0) / seconds;
      const commands = executed.reduce((sum, one) => sum + one.commands, 0) / seconds;
      figures.add({ what: 'CPU', unit: '% of a core', target: { atMost: 1 } }, core);
      figures.add({ what: 'Redis commands sent', unit: 'a second', target: { atMost: 5 } }, sent);
      figures.add({ what: 'Redis commands, those of scripts included', unit: 'a second' }, commands);
      for (const one of executed) {
        context.say(
          `${one.name}: sent ${(one.sent / seconds).toFixed(2)} a second, ${one.commands} commands`,
        );
      }
      return wrongAccounts([crowd], await stage.simulator.accounts());
    });
    const peer = await openEventPeer(1, 500);
    try {
      const [worker] = peer.workers;
      worker?.begin();
      await sleep(SETTLED_MS);
      const before = parseServerCost(await peer.redis.info('all'));
      const cpuBefore = processCpuMicros(worker?.pid ?? 0);
      await sleep(forMs);
      const core = (processCpuMicros(worker?.pid ?? 0) - cpuBefore) / (10 * forMs);
      const commands = parseServerCost(await peer.redis.info('all')).commands - before.commands - 1;
      figures.add({ what: 'CPU', who: JOB_PER_EVENT, unit: '% of a core' }, core);
      figures.add(
        { what: 'Redis commands, those of scripts included', who: JOB_PER_EVENT, unit: 'a second' },
        (commands * 1000) / forMs,
      );
    } finally {
      await peer.close();
    }
    return { rows: figures.rows(), problems };
  },
};
