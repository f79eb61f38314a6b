import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import { processMemoryMb } from '../measure/process-cost.ts';
import { median } from '../measure/spread.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { fill } from '../stage/crowd.ts';
import { createFigures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, onStage, type Stage } from '../stage/stage.ts';

const SLICE = 40_000;
const SMALL = 10_000;
/**
 * The quota while a large backlog is worked off, against what this machine did with the small one: never in the way,
 * but not so high that the two seconds of calls that are cut ahead are a backlog of their own.
 */
const HEADROOM = 1.5;
/** Events of a large backlog that are imported before the clock starts: by then calls are cut as fast as they end. */
const RUN_UP = 20_000;

interface Slice {
  readonly eventsPerSecond: number;
  readonly workerMb: number;
  readonly problems: readonly string[];
}

/** Does it matter how much waits? The same slice off backlogs of different sizes. */
export const growth: Bench = {
  name: 'growth',
  about:
    'the drain of 40,000 events, quota lifted, 2 workers, with 10 thousand to 5 million waiting behind them',
  runs: 1,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    const sizes = context.quick ? [200_000] : [1_000_000, ...(context.full ? [5_000_000] : [])];
    const small: number[] = [];
    for (let run = 0; run < context.runs; run++) {
      const add = (what: string, slice: Slice): void => {
        figures.add({ what: `${what}: drained`, unit: 'events/s' }, slice.eventsPerSecond);
        figures.add(
          { what: `${what}: worker memory`, unit: 'MB', target: { atMost: 150, by: 'worst' } },
          slice.workerMb,
        );
        problems.push(...slice.problems.map((problem) => `${what}: ${problem}`));
        context.say(
          `${what}: ${Math.round(slice.eventsPerSecond)} events/s, ${slice.workerMb.toFixed(0)} MB`,
        );
      };
      const lone = await smallBacklogs(context);
      small.push(lone.eventsPerSecond);
      add('10 thousand waiting', lone);
      for (const size of sizes) {
        const name = size >= 1e6 ? `${size / 1e6} million waiting` : `${size / 1e3} thousand waiting`;
        const slices = await largeBacklog(context, size, median(small), size === sizes[0]);
        for (const { rewriting, ...slice } of slices) {
          const what = rewriting ? `${name}, AOF being rewritten` : name;
          add(what, slice);
          const ratio = slice.eventsPerSecond / median(small);
          const target = rewriting ? {} : { target: { atLeast: 0.9 } };
          figures.add({ what: `${what}: rate to that of 10 thousand`, unit: '×', ...target }, ratio);
        }
      }
    }
    return { rows: figures.rows(), problems };
  },
};

/** 10,000 at a time, four times over, so that never more than that wait. */
function smallBacklogs(context: BenchContext): Promise<Slice> {
  return onStage(context, { workers: 2, env: LIFTED_ENV, simulate: LIFTED_SIMULATOR }, async (stage) => {
    await slice(stage, 'warm', SMALL, SMALL, 0);
    let ms = 0;
    let workerMb = 0;
    const problems: string[] = [];
    for (let i = 0; i < SLICE / SMALL; i++) {
      const part = await slice(stage, `part${i}-`, SMALL, SMALL, 0);
      ms += part.ms;
      workerMb = part.workerMb;
      problems.push(...part.problems);
    }
    return { eventsPerSecond: (SLICE * 1000) / ms, workerMb, problems };
  });
}

/** A slice of a large backlog; and another one while Redis rewrites its file, if that is asked for. */
function largeBacklog(
  context: BenchContext,
  size: number,
  eventsPerSecond: number,
  rewriteToo: boolean,
): Promise<(Slice & { readonly rewriting: boolean })[]> {
  const callsPerSecond = Math.ceil((HEADROOM * eventsPerSecond) / 100);
  const env = { IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(callsPerSecond) };
  return onStage(context, { workers: 2, env, simulate: LIFTED_SIMULATOR }, async (stage) => {
    await slice(stage, 'warm', SMALL, SMALL, 0);
    await stage.hold.pause('bench', Date.now());
    const slices: (Slice & { readonly rewriting: boolean })[] = [];
    for (const rewriting of rewriteToo ? [false, true] : [false]) {
      // What the slice before took is made up for, so that as much waits again.
      const waiting = await stage.redis.xlen(stage.keys.stream);
      context.say(`writing ${size - waiting} events`);
      await fill(stage.redis, stage.keys.stream, { prefix: `more${rewriting}`, count: size - waiting });
      await rewritten(stage);
      const rewrites = rewriting ? keepRewriting(stage) : undefined;
      const { ms, workerMb, problems } = await slice(stage, `slice${rewriting}`, 0, SLICE, RUN_UP);
      await rewrites?.stop();
      slices.push({ rewriting, eventsPerSecond: (SLICE * 1000) / ms, workerMb, problems });
    }
    return slices;
  });
}

/** Redis rewrites its file by itself while a backlog grows; waits until that is over. */
function rewritten(stage: Stage): Promise<true> {
  return eventually(
    'no rewrite of the append-only file is running',
    async () => /aof_rewrite_in_progress:0/.test(await stage.redis.info('persistence')),
    120_000,
  ).then(() => true);
}

/** One rewrite of the append-only file after the other, until stopped. */
function keepRewriting({ redis }: Stage): { stop(): Promise<void> } {
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      if (/aof_rewrite_in_progress:0/.test(await redis.info('persistence'))) await redis.bgrewriteaof();
      await sleep(100);
    }
  })();
  return {
    stop() {
      stopped = true;
      return loop;
    },
  };
}

/**
 * Adds `count` events to what waits and times the arrivals of `events` accounts after the first `runUp`; then stops the
 * fleet, and checks that what the receiver has is what the books say.
 */
async function slice(stage: Stage, prefix: string, count: number, events: number, runUp: number) {
  const { hold, simulator, redis, keys } = stage;
  await hold.pause('bench', Date.now());
  await simulator.reset();
  const before = await stage.books();
  await fill(redis, keys.stream, { prefix, count });
  await hold.resume();
  await eventually(
    `${runUp + events} events are imported`,
    async () => (await stage.books()).imported - before.imported >= runUp + events,
    120_000,
  );
  const workerMb = Math.max(...stage.workers.map(({ pid }) => processMemoryMb(pid)));
  await hold.pause('bench', Date.now());
  // Calls on the wire end; the books stand still then.
  let last = -1;
  const books = await eventually('the books stand still', async () => {
    const now = await stage.books();
    const still = now.imported === last;
    last = now.imported;
    await sleep(100);
    return still ? now : null;
  });
  const calls = await simulator.calls();
  const arrivedMs = (accounts: number): number => {
    let sum = 0;
    for (const { items, arrivedAtMs } of calls) {
      sum += items;
      if (sum >= accounts) return arrivedAtMs;
    }
    return Number.NaN;
  };
  const there = (await simulator.report()).accounts;
  const imported = books.imported - before.imported;
  const gone = books.deadLettered - before.deadLettered;
  return {
    ms: arrivedMs(runUp + events) - arrivedMs(runUp + 1),
    workerMb,
    problems: [
      ...(there === imported ? [] : [`the books say ${imported} imported, the receiver has ${there}`]),
      ...(gone === 0 ? [] : [`${gone} events were dead-lettered`]),
    ],
  };
}
