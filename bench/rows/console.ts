import { setTimeout as sleep } from 'node:timers/promises';
import { hasBrowser, openBrowser } from '../../test/support/browser.ts';
import { CONSOLE_ENV, consoleUrl } from '../../test/support/console-api.ts';
import type { Bench } from '../stage/bench.ts';
import { createFigures } from '../stage/figures.ts';
import { onStage, type Stage } from '../stage/stage.ts';
import { firstLoad, openViewers } from '../stage/viewers.ts';

export const NO_BROWSER =
  'not measured: there is no Chromium at /usr/bin/chromium, or where TEST_CHROMIUM says';
/** Whole rounds: the page asks each 2 s and 5 s, an idle worker at least each 5 s. */
const LOOK_MS = 20_000;
const QUICK_LOOK_MS = 5_000;
/** The first paint and the code's warm-up are over. */
const SETTLE_MS = 3_000;
const LOADS = 9;

/** What the console's page costs: over the wire, in the browser, in the worker and in Redis. */
export const consolePage: Bench = {
  name: 'console',
  about: 'the first load of the page, and what viewers of the overview cost a worker and Redis',
  runs: 1,
  async run(context) {
    if (!hasBrowser) {
      context.say(NO_BROWSER);
      return { rows: [], problems: [] };
    }
    const figures = createFigures();
    const problems = await onStage(context, { workers: 0 }, async (stage) => {
      const worker = await stage.startWorker(CONSOLE_ENV);
      const base = await consoleUrl(worker);
      const browser = await openBrowser();
      try {
        // The first request compresses the files.
        await firstLoad(browser, base);
        for (let i = 0; i < (context.quick ? 3 : LOADS); i++) {
          const { bytes, files, paintMs } = await firstLoad(browser, base);
          const note = `${files} files, Brotli, no cache`;
          figures.add(
            { what: 'first load, over the wire', unit: 'KB', target: { atMost: 100 }, note },
            bytes / 1024,
          );
          figures.add({ what: 'first contentful paint', unit: 'ms' }, paintMs);
        }
      } finally {
        await browser.close();
      }
      const viewers = await openViewers(base);
      try {
        const look = async (who: string): Promise<number> => {
          await sleep(SETTLE_MS);
          const { core, commands } = await costOf(stage, context.quick ? QUICK_LOOK_MS : LOOK_MS);
          figures.add({ what: `CPU of the worker, ${who}`, unit: '% of a core' }, core);
          figures.add({ what: `Redis commands, ${who}`, unit: 'a second' }, commands);
          context.say(`${who}: ${core.toFixed(2)} % of a core, ${commands.toFixed(1)} commands a second`);
          return commands;
        };
        const idle = await look('no viewer');
        await viewers.open(1);
        const one = await look('1 viewer');
        await viewers.open(19);
        const twenty = await look('20 viewers');
        await viewers.hide();
        const hidden = await look('20 hidden viewers');
        figures.add(
          {
            what: 'Redis commands of 20 viewers by those of one',
            unit: 'times',
            target: { atMost: 3 },
            note: 'both beyond what the idle worker sends',
          },
          (twenty - idle) / (one - idle),
        );
        // An idle worker's own commands differ by so many.
        const more = hidden - idle;
        return more > 2 ? [`20 hidden viewers cost Redis ${more.toFixed(1)} commands a second`] : [];
      } finally {
        await viewers.close();
      }
    });
    return { rows: figures.rows(), problems };
  },
};

async function costOf(stage: Stage, forMs: number): Promise<{ core: number; commands: number }> {
  const before = await stage.serverCost();
  const cpuBefore = stage.workerCpuMicros();
  const startedMs = performance.now();
  await sleep(forMs);
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpu = stage.workerCpuMicros() - cpuBefore;
  const { commands } = await stage.serverCost();
  // One of them is the INFO that counts.
  return { core: cpu / (1e4 * seconds), commands: (commands - before.commands - 1) / seconds };
}
