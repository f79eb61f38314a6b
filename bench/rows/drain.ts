import { eventually } from '../../test/support/eventually.ts';
import { processCpuMicros } from '../measure/process-cost.ts';
import { costBetween, parseServerCost, type ServerCost } from '../measure/server-info.ts';
import { median } from '../measure/spread.ts';
import type { BarChart } from '../report/chart.ts';
import { US } from '../report/row.ts';
import { drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { type Crowd, wrongAccounts } from '../stage/crowd.ts';
import { type EventPeer, type EventPeerKind, openEventPeer } from '../stage/event-peer.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, onStage, type Stage } from '../stage/stage.ts';

export const JOB_PER_EVENT = 'BullMQ, a job an event';
/** Loses what fails: no peer, but what is left of a call's cost without this project. */
export const FLOOR = 'the parts alone: a BullMQ job a call, and got';
const FLOOR_CONCURRENCY = 50;
const WORKERS = 2;
/** Before anything is measured, and again before each measurement. */
const WARM_MS = { first: 12_000, again: 3_000 } as const;
/** Tried in turn in a first, shorter round; the best one is the peer. (With 1,000 it was never faster.) */
const PEER_CONCURRENCIES = [200, 500] as const;

interface Cost {
  readonly eventsPerSecond: number;
  readonly workerMicros: number;
  readonly redisMicros: number;
  readonly redisCommands: number;
  readonly reads: number;
  readonly calls: number;
  readonly serverCost: ServerCost;
  readonly problems: readonly string[];
}

/**
 * A backlog with the quota lifted: what an event costs, and how fast two workers get through. All sides run from the
 * beginning to the end and are measured in turn; who is not measured is idle. With `full` the parts alone are a side, too.
 */
export const drain: Bench = {
  name: 'drain',
  about: 'a backlog with the quota lifted, 2 workers, everything settled, beside a BullMQ job for each event',
  runs: 3,
  async run(context) {
    const figures = createFigures();
    const crowd: Crowd = { prefix: 'u', count: context.quick ? 20_000 : 60_000 };
    const concurrency = await bestConcurrency(context, { ...crowd, count: crowd.count / 6 });
    const options = { workers: WORKERS, env: LIFTED_ENV, simulate: LIFTED_SIMULATOR };
    const problems = await onStage(context, options, (stage) =>
      withPeer(concurrency, 'bullmq-job-per-event', (peer) => {
        const sides: readonly Side[] = [
          { who: US, drain: (one) => drainUs(stage, one) },
          { who: JOB_PER_EVENT, how: `, concurrency ${concurrency}`, drain: (one) => drainPeer(peer, one) },
        ];
        if (!context.full) return measureInTurn(context, figures, sides, crowd);
        return withPeer(FLOOR_CONCURRENCY, 'bullmq-job-per-call', (floor) =>
          measureInTurn(
            context,
            figures,
            [...sides, { who: FLOOR, drain: (one) => drainPeer(floor, one) }],
            crowd,
          ),
        );
      }),
    );
    return { rows: figures.rows(), problems, charts: [chartOf(figures)] };
  },
};

interface Side {
  readonly who: string;
  readonly how?: string;
  drain(crowd: Crowd): Promise<Cost>;
}

/** Answers what went wrong. */
async function measureInTurn(
  context: BenchContext,
  figures: Figures,
  sides: readonly Side[],
  crowd: Crowd,
): Promise<string[]> {
  const problems: string[] = [];
  const warming: Crowd = { ...crowd, count: Math.round(crowd.count / 3) };
  for (const side of sides) {
    const cold = await side.drain({ ...warming, prefix: 'cold-' });
    figures.add(
      { what: 'worker CPU an event, of the first ones', who: side.who, unit: 'µs' },
      cold.workerMicros,
    );
    problems.push(...cold.problems, ...(await warmUp(context, side, warming, 'first')));
  }
  for (let run = 0; run < context.runs; run++) {
    const costs: Cost[] = [];
    for (const side of sides) {
      problems.push(...(await warmUp(context, side, warming, 'again')));
      const cost = await side.drain({ ...crowd, prefix: `r${run}-` });
      costs.push(cost);
      addCost(figures, side.who, cost);
      problems.push(...cost.problems.map((problem) => `${side.who}: ${problem}`));
      context.say(
        `${side.who}${side.how ?? ''}: ${Math.round(cost.eventsPerSecond)} events/s, ${cost.workerMicros.toFixed(1)} µs of worker CPU an event`,
      );
    }
    const [us, peer] = costs;
    if (us === undefined || peer === undefined) throw new RangeError('a side was not measured');
    addRatios(figures, us, peer);
    if (run === 0) for (const line of commandLines(us)) context.say(line);
  }
  return problems;
}

/**
 * Code that has not run often is slow for reasons of its own, and is compiled beside the work for thousands of calls, of
 * which the one side makes a hundredth as many as the other handles jobs. So each works for equally long before anything
 * is measured, as a worker does that runs for days; and once more before each measurement, since a process that has idled for
 * some seconds compiles much of its code anew (docs/decisions/0090). What the first events of a process cost is told as well.
 */
async function warmUp(
  context: BenchContext,
  side: Side,
  crowd: Crowd,
  when: keyof typeof WARM_MS,
): Promise<readonly string[]> {
  const untilMs = performance.now() + (context.quick ? 500 : WARM_MS[when]);
  for (let round = 0; ; round++) {
    const { problems } = await side.drain({ ...crowd, prefix: `w${round}-` });
    if (problems.length > 0 || performance.now() >= untilMs) return problems;
  }
}

async function bestConcurrency(context: BenchContext, crowd: Crowd): Promise<number> {
  if (context.quick) return 500;
  let best: { readonly concurrency: number; readonly eventsPerSecond: number } | undefined;
  for (const concurrency of PEER_CONCURRENCIES) {
    const { eventsPerSecond } = await withPeer(concurrency, 'bullmq-job-per-event', async (peer) => {
      await drainPeer(peer, { prefix: 'w', count: crowd.count / 2 });
      return drainPeer(peer, crowd);
    });
    context.say(`the peer at concurrency ${concurrency}: ${Math.round(eventsPerSecond)} events/s`);
    if (eventsPerSecond > (best?.eventsPerSecond ?? 0)) best = { concurrency, eventsPerSecond };
  }
  return best?.concurrency ?? PEER_CONCURRENCIES[0];
}

async function drainUs(stage: Stage, crowd: Crowd): Promise<Cost> {
  const drained = await drainBacklog(stage, [crowd]);
  return costOf(
    crowd.count,
    drained.settledMs,
    drained.workerCpuMicros,
    drained.serverCost,
    drained.arrivalsMs.length,
    drained.problems,
  );
}

/** Opens a peer, its workers ready and its queue paused, and closes it after `work`. */
async function withPeer<T>(
  concurrency: number,
  kind: EventPeerKind,
  work: (peer: EventPeer) => Promise<T>,
): Promise<T> {
  const peer = await openEventPeer(WORKERS, concurrency, kind);
  try {
    await peer.queue.pause();
    for (const worker of peer.workers) worker.begin();
    return await work(peer);
  } finally {
    await peer.close();
  }
}

async function drainPeer(peer: EventPeer, crowd: Crowd): Promise<Cost> {
  const info = async (): Promise<ServerCost> => parseServerCost(await peer.redis.info('all'));
  const cpu = (): number => peer.workers.reduce((sum, { pid }) => sum + processCpuMicros(pid), 0);
  await peer.queue.pause();
  await peer.simulator.reset();
  await peer.add(crowd);
  const cpuBefore = cpu();
  const before = await info();
  await peer.queue.resume();
  await eventually('the jobs of the peer have ended', async () => (await peer.left()) === 0, 120_000);
  const endedAtMs = performance.timeOrigin + performance.now();
  const cpuMicros = cpu() - cpuBefore;
  const serverCost = costBetween(before, await info());
  const calls = await peer.simulator.calls();
  const settledMs = endedAtMs - (calls[0]?.arrivedAtMs ?? endedAtMs);
  const problems = wrongAccounts([crowd], await peer.simulator.accounts());
  return costOf(crowd.count, settledMs, cpuMicros, serverCost, calls.length, problems);
}

function costOf(
  events: number,
  settledMs: number,
  workerCpuMicros: number,
  serverCost: ServerCost,
  calls: number,
  problems: readonly string[],
): Cost {
  return {
    eventsPerSecond: (events * 1000) / settledMs,
    workerMicros: workerCpuMicros / events,
    redisMicros: serverCost.cpuMicros / events,
    redisCommands: serverCost.commands / events,
    reads: serverCost.reads / calls,
    calls,
    serverCost,
    problems,
  };
}

function addCost(figures: Figures, who: string, cost: Cost): void {
  const ours = who === US;
  figures.add(
    { what: 'events settled', who, unit: 'events/s', ...(ours && { target: { aim: 50_000 } }) },
    cost.eventsPerSecond,
  );
  figures.add(
    { what: 'worker CPU an event', who, unit: 'µs', ...(ours && { target: { aim: 10 } }) },
    cost.workerMicros,
  );
  figures.add({ what: 'Redis CPU an event', who, unit: 'µs' }, cost.redisMicros);
  figures.add({ what: 'Redis commands an event', who, unit: 'commands' }, cost.redisCommands);
  figures.add({ what: 'reads by Redis a call', who, unit: 'reads' }, cost.reads);
}

function addRatios(figures: Figures, us: Cost, peer: Cost): void {
  const add = (what: string, value: number, target: { atLeast?: number; atMost?: number }): void =>
    figures.add({ what, unit: '× the peer', target }, value);
  add('events settled, ratio', us.eventsPerSecond / peer.eventsPerSecond, { atLeast: 3 });
  add('worker CPU an event, ratio', us.workerMicros / peer.workerMicros, { atMost: 0.33 });
  add('Redis CPU an event, ratio', us.redisMicros / peer.redisMicros, { atMost: 0.33 });
  add('Redis commands an event, ratio', us.redisCommands / peer.redisCommands, { atMost: 0.25 });
}

/** Where the commands of a call come from, those of scripts included. */
function commandLines({ serverCost, calls }: Cost): string[] {
  const byCount = [...serverCost.byCommand].sort(([, a], [, b]) => b - a).slice(0, 16);
  const each = byCount.map(([name, count]) => `${name} ${(count / calls).toFixed(2)}`);
  return [`Redis commands a call (of ${calls}): ${each.join(', ')}`];
}

function chartOf(figures: Figures): BarChart {
  const group = (what: string, label: string, unit: string) => ({
    label,
    unit,
    bars: [US, JOB_PER_EVENT].map((who) => ({
      label: who,
      value: median(figures.values(what, who)),
      ours: who === US,
    })),
  });
  return {
    kind: 'bars',
    file: 'drain.svg',
    title: 'A backlog with the quota lifted, two workers',
    about: 'The same events, the same simulator, one after the other on the same machine.',
    groups: [
      group('events settled', 'Events settled', 'a second'),
      group('worker CPU an event', 'Worker CPU', 'µs an event'),
      group('Redis CPU an event', 'Redis CPU', 'µs an event'),
      group('Redis commands an event', 'Redis commands', 'an event'),
    ],
  };
}
