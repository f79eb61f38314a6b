import { eventually } from '../../test/support/eventually.ts';
import { processCpuMicros } from '../measure/process-cost.ts';
import { costBetween, parseServerCost, type ServerCost } from '../measure/server-info.ts';
import { median } from '../measure/spread.ts';
import type { BarChart } from '../report/chart.ts';
import { US } from '../report/row.ts';
import { drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { type Crowd, wrongAccounts } from '../stage/crowd.ts';
import { type EventPeerKind, openEventPeer } from '../stage/event-peer.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, onStage } from '../stage/stage.ts';

export const JOB_PER_EVENT = 'BullMQ, a job an event';
/** Loses what fails: no peer, but what is left of a call's cost without this project. */
export const FLOOR = 'the parts alone: a BullMQ job a call, and got';
const FLOOR_CONCURRENCY = 50;
const WORKERS = 2;
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

/** A backlog with the quota lifted: what an event costs, and how fast two workers get through. */
export const drain: Bench = {
  name: 'drain',
  about: 'a backlog with the quota lifted, 2 workers, everything settled, beside a BullMQ job for each event',
  runs: 3,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    const crowd: Crowd = { prefix: 'u', count: context.quick ? 20_000 : 60_000 };
    const concurrency = await bestConcurrency(context, { ...crowd, count: crowd.count / 4 });
    for (let run = 0; run < context.runs; run++) {
      const us = await drainUs(context, crowd);
      const peer = await drainPeer(concurrency, crowd);
      addCost(figures, US, us);
      addCost(figures, JOB_PER_EVENT, peer);
      addRatios(figures, us, peer);
      const floor = await drainPeer(FLOOR_CONCURRENCY, crowd, 'bullmq-job-per-call');
      addCost(figures, FLOOR, floor);
      problems.push(...us.problems, ...peer.problems.map((problem) => `${JOB_PER_EVENT}: ${problem}`));
      problems.push(...floor.problems.map((problem) => `${FLOOR}: ${problem}`));
      context.say(
        `${Math.round(us.eventsPerSecond)} events/s, the peer ${Math.round(peer.eventsPerSecond)} at concurrency ${concurrency}`,
      );
      if (run === 0) for (const line of commandLines(us)) context.say(line);
    }
    return { rows: figures.rows(), problems, charts: [chartOf(figures)] };
  },
};

async function bestConcurrency(context: BenchContext, crowd: Crowd): Promise<number> {
  if (context.quick) return 500;
  let best: { readonly concurrency: number; readonly eventsPerSecond: number } | undefined;
  for (const concurrency of PEER_CONCURRENCIES) {
    const { eventsPerSecond } = await drainPeer(concurrency, crowd);
    context.say(`the peer at concurrency ${concurrency}: ${Math.round(eventsPerSecond)} events/s`);
    if (eventsPerSecond > (best?.eventsPerSecond ?? 0)) best = { concurrency, eventsPerSecond };
  }
  return best?.concurrency ?? PEER_CONCURRENCIES[0];
}

/** Code that has not run yet is slow for reasons of its own: both sides work off some events first. */
function warmUp(crowd: Crowd): Crowd {
  return { prefix: 'w', count: Math.round(crowd.count / 6) };
}

function drainUs(context: BenchContext, crowd: Crowd): Promise<Cost> {
  return onStage(
    context,
    { workers: WORKERS, env: LIFTED_ENV, simulate: LIFTED_SIMULATOR },
    async (stage) => {
      await drainBacklog(stage, [warmUp(crowd)]);
      const drained = await drainBacklog(stage, [crowd]);
      return costOf(
        crowd.count,
        drained.settledMs,
        drained.workerCpuMicros,
        drained.serverCost,
        drained.arrivalsMs.length,
        drained.problems,
      );
    },
  );
}

async function drainPeer(
  concurrency: number,
  crowd: Crowd,
  kind: EventPeerKind = 'bullmq-job-per-event',
): Promise<Cost> {
  const peer = await openEventPeer(WORKERS, concurrency, kind);
  try {
    const info = async (): Promise<ServerCost> => parseServerCost(await peer.redis.info('all'));
    const cpu = (): number => peer.workers.reduce((sum, { pid }) => sum + processCpuMicros(pid), 0);
    const done = (): Promise<true> =>
      eventually('the jobs of the peer have ended', async () => (await peer.left()) === 0, 120_000);
    await peer.add(warmUp(crowd));
    for (const worker of peer.workers) worker.begin();
    await done();
    await peer.queue.pause();
    await peer.simulator.reset();
    await peer.add(crowd);
    const cpuBefore = cpu();
    const before = await info();
    await peer.queue.resume();
    await done();
    const endedAtMs = performance.timeOrigin + performance.now();
    const cpuMicros = cpu() - cpuBefore;
    const serverCost = costBetween(before, await info());
    const calls = await peer.simulator.calls();
    const settledMs = endedAtMs - (calls[0]?.arrivedAtMs ?? endedAtMs);
    const problems = wrongAccounts([crowd], await peer.simulator.accounts());
    return costOf(crowd.count, settledMs, cpuMicros, serverCost, calls.length, problems);
  } finally {
    await peer.close();
  }
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
  add('worker CPU an event, ratio', us.workerMicros / peer.workerMicros, { atMost: 0.25 });
  add('Redis CPU an event, ratio', us.redisMicros / peer.redisMicros, { atMost: 0.25 });
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
