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
/** Of those calls, as many stand open before the clock starts: then each that ends makes room for one cut. */
const CUT_AHEAD_SECONDS = 0.5;

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
        for (const rewriting of size === sizes[0] ? [false, true] : [false]) {
          const what = rewriting ? `${name}, AOF being rewritten` : name;
          const slice = await largeBacklog(context, size, rewriting, median(small));
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

function largeBacklog(
  context: BenchContext,
  size: number,
  rewriting: boolean,
  eventsPerSecond: number,
): Promise<Slice> {
  const callsPerSecond = Math.ceil((HEADROOM * eventsPerSecond) / 100);
  const env = { IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(callsPerSecond) };
  return onStage(context, { workers: 2, env, simulate: LIFTED_SIMULATOR }, async (stage) => {
    await slice(stage, 'warm', SMALL, SMALL, 0);
    await stage.hold.pause('bench', Date.now());
    await fill(stage.redis, stage.keys.stream, { prefix: 'more', count: size - SLICE });
    await rewritten(stage);
    if (rewriting) await stage.redis.bgrewriteaof();
    const { ms, workerMb, problems } = await slice(
      stage,
      'slice',
      SLICE,
      SLICE,
      CUT_AHEAD_SECONDS * callsPerSecond,
    );
    return { eventsPerSecond: (SLICE * 1000) / ms, workerMb, problems };
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

/**
 * Adds `count` events to what waits and, once `cutAhead` calls stand open, times the arrivals of `events` accounts;
 * then stops the fleet, and checks that what the receiver has is what the books say.
 */
async function slice(stage: Stage, prefix: string, count: number, events: number, cutAhead: number) {
  const { hold, simulator, redis, keys } = stage;
  await hold.pause('bench', Date.now());
  await simulator.reset();
  const before = await stage.books();
  await fill(redis, keys.stream, { prefix, count });
  await hold.resume();
  await eventually('calls are cut ahead', async () => (await redis.zcard(keys.open)) >= cutAhead, 120_000);
  const skipped = cutAhead === 0 ? 0 : (await stage.books()).imported - before.imported;
  await eventually(
    `${events} events are imported`,
    async () => (await stage.books()).imported - before.imported - skipped >= events,
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
    await new Promise((resolve) => setTimeout(resolve, 100));
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
    ms: arrivedMs(skipped + events) - arrivedMs(skipped + 1),
    workerMb,
    problems: [
      ...(there === imported ? [] : [`the books say ${imported} imported, the receiver has ${there}`]),
      ...(gone === 0 ? [] : [`${gone} events were dead-lettered`]),
    ],
  };
}
