import { costBetween, type ServerCost } from '../measure/server-info.ts';
import { type Crowd, fill, wrongAccounts, wrongBooks } from './crowd.ts';
import type { Stage } from './stage.ts';

/** What working off a backlog came to. Times on the clock of the simulator. */
export interface Drained {
  /** Arrivals of batch calls, ms. */
  readonly arrivalsMs: readonly number[];
  /** Accounts in each of them. */
  readonly items: readonly number[];
  /** From the first arrival until everything was settled. */
  readonly settledMs: number;
  readonly workerCpuMicros: number;
  readonly serverCost: ServerCost;
  readonly slotsGivenUp: number;
  readonly maxInRollingSecond: number;
  readonly maxSurelyInRollingSecond: number;
  readonly maxIn10Ms: number;
  readonly maxSurelyIn10Ms: number;
  readonly refused: number;
  readonly longestStallMs: number;
  readonly problems: readonly string[];
}

/** What happened while a backlog was worked off: events written, and dead letters redriven. */
export interface Meanwhile {
  readonly written?: readonly Crowd[];
  /** All of whom had an unresolved dead letter, and are imported now. */
  readonly redriven?: readonly Crowd[];
}

/**
 * Lets the running workers work off crowds that were written while they were paused. `meanwhile` runs from the
 * moment they are let go, and says what it added.
 */
export async function drainBacklog(
  stage: Stage,
  crowds: readonly Crowd[],
  meanwhile: () => Promise<Meanwhile> = async () => ({}),
): Promise<Drained> {
  const { simulator, hold, redis, keys } = stage;
  await hold.pause('bench', Date.now());
  await simulator.reset();
  const before = await stage.books();
  for (const crowd of crowds) await fill(redis, keys.stream, crowd);
  const cpuBefore = stage.workerCpuMicros();
  const costBefore = await stage.serverCost();
  const givenUpBefore = await stage.slotsGivenUp();
  await hold.resume();
  const { written = [], redriven = [] } = await meanwhile();
  const books = await stage.drained();
  const settledAtMs = performance.timeOrigin + performance.now();
  const workerCpuMicros = stage.workerCpuMicros() - cpuBefore;
  const serverCost = costBetween(costBefore, await stage.serverCost());
  const calls = (await simulator.calls()).filter(({ command }) => command === 'multiaccount_import');
  const { commands, longestStallMs } = await simulator.report();
  const report = commands.multiaccount_import;
  const events = [...crowds, ...written];
  return {
    arrivalsMs: calls.map(({ arrivedAtMs }) => arrivedAtMs),
    items: calls.map(({ items }) => items),
    settledMs: settledAtMs - (calls[0]?.arrivedAtMs ?? settledAtMs),
    workerCpuMicros,
    serverCost,
    slotsGivenUp: (await stage.slotsGivenUp()) - givenUpBefore,
    maxInRollingSecond: report?.maxInRollingSecond ?? 0,
    maxSurelyInRollingSecond: report?.maxSurelyInRollingSecond ?? 0,
    maxIn10Ms: report?.maxIn10Ms ?? 0,
    maxSurelyIn10Ms: report?.maxSurelyIn10Ms ?? 0,
    refused: report?.refused ?? 0,
    longestStallMs,
    problems: [
      ...wrongAccounts([...redriven, ...events], await simulator.accounts()),
      ...wrongBooks(before, books, countOf(events), countOf(redriven)),
    ],
  };
}

function countOf(crowds: readonly Crowd[]): number {
  return crowds.reduce((sum, { count }) => sum + count, 0);
}
