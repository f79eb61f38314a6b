import { type OtlpReceiver, startOtlpReceiver } from '../../test/support/otlp-receiver.ts';
import { US } from '../report/row.ts';
import { drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import type { Crowd } from '../stage/crowd.ts';
import { createFigures, type Figures } from '../stage/figures.ts';
import { LIFTED_ENV, LIFTED_SIMULATOR, openStage, type Stage } from '../stage/stage.ts';

const WORKERS = 2;
/** Before anything is measured: code that has not run often is slow for reasons of its own. */
const WARM_MS = 12_000;

interface Side {
  readonly who: string;
  readonly stage: Stage;
}

/**
 * What traces cost: a backlog with the quota lifted, whose events all carry a traceparent. Three fleets differ in the sampler
 * only. They are measured in turn, and those that are not measured are idle. The collector is this process.
 */
export const traces: Bench = {
  name: 'traces',
  about: 'what traces cost a worker: off, 1 % and 100 % of the calls, a backlog with the quota lifted',
  runs: 3,
  async run(context) {
    const figures = createFigures();
    const receiver = await startOtlpReceiver();
    const sides: Side[] = [];
    try {
      for (const [who, env] of samplers(receiver)) sides.push({ who, stage: await openSide(context, env) });
      const problems = await measureInTurn(context, figures, sides, receiver);
      return { rows: figures.rows(), problems };
    } finally {
      await Promise.all(sides.map(({ stage }) => stage.close()));
      await receiver.close();
    }
  },
};

function samplers({ url }: OtlpReceiver): readonly (readonly [string, Readonly<Record<string, string>>])[] {
  const sampled = (share: string) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: share,
  });
  return [
    [`${US}, traces off`, {}],
    [`${US}, 1 % of the calls`, sampled('0.01')],
    [`${US}, all calls`, sampled('1')],
  ];
}

function openSide(context: BenchContext, env: Readonly<Record<string, string>>): Promise<Stage> {
  return openStage(context, { workers: WORKERS, env: { ...LIFTED_ENV, ...env }, simulate: LIFTED_SIMULATOR });
}

async function measureInTurn(
  context: BenchContext,
  figures: Figures,
  sides: readonly Side[],
  receiver: OtlpReceiver,
): Promise<string[]> {
  const problems: string[] = [];
  const crowd: Crowd = { prefix: 'u', count: context.quick ? 10_000 : 60_000, traced: true };
  for (const { stage } of sides) {
    const untilMs = performance.now() + (context.quick ? 500 : WARM_MS);
    for (let round = 0; performance.now() < untilMs; round++)
      problems.push(...(await drainBacklog(stage, [{ ...crowd, prefix: `w${round}-` }])).problems);
  }
  for (let run = 0; run < context.runs; run++) {
    const micros: number[] = [];
    for (const { who, stage } of sides) {
      const bodiesBefore = bodiesOf(receiver);
      const drained = await drainBacklog(stage, [{ ...crowd, prefix: `r${run}-` }]);
      const microsAnEvent = drained.workerCpuMicros / crowd.count;
      micros.push(microsAnEvent);
      figures.add(
        { what: 'events settled', who, unit: 'events/s' },
        (crowd.count * 1_000) / drained.settledMs,
      );
      figures.add({ what: 'worker CPU an event', who, unit: 'µs' }, microsAnEvent);
      context.say(
        `${who}: ${microsAnEvent.toFixed(1)} µs of worker CPU an event, ${bodiesOf(receiver) - bodiesBefore} bodies`,
      );
      problems.push(...drained.problems.map((problem) => `${who}: ${problem}`));
    }
    const [off = Number.NaN, few = Number.NaN, all = Number.NaN] = micros;
    figures.add({ what: 'worker CPU an event, 1 % of the calls', unit: '× off' }, few / off);
    figures.add({ what: 'worker CPU an event, all calls', unit: '× off' }, all / off);
  }
  // A collector that got nothing would make traces look free.
  if (bodiesOf(receiver) === 0) problems.push('the collector has received nothing');
  return problems;
}

function bodiesOf({ bodies }: OtlpReceiver): number {
  return [...bodies.values()].reduce((sum, count) => sum + count, 0);
}
