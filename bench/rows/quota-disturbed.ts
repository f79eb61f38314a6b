import { setTimeout as sleep } from 'node:timers/promises';
import { imsyncRun } from '../../test/support/process.ts';
import { type Drained, drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { type Crowd, fill } from '../stage/crowd.ts';
import { createFigures } from '../stage/figures.ts';
import { type JitterProxy, startJitterProxy } from '../stage/jitter-proxy.ts';
import { onStage, type Stage, type StageOptions } from '../stage/stage.ts';
import { API_LATENCY, addPace, addRate } from './quota.ts';

interface Disturbance {
  readonly name: string;
  readonly options?: StageOptions;
  play(stage: Stage, crowd: (name: string, share?: number) => Crowd): Promise<Drained>;
}

const fromIdle: Disturbance = {
  name: 'idle, then a burst',
  async play(stage, crowd) {
    await drainBacklog(stage, [crowd('before', 0.01)]);
    await sleep(1_500);
    return drainBacklog(stage, [], async () => {
      const burst = crowd('burst');
      await fill(stage.redis, stage.keys.stream, burst);
      return { written: [burst] };
    });
  },
};

/** One call in ten fails for the moment, and a tenth of the users sign up again meanwhile. */
const retries: Disturbance = {
  name: '10 % retries',
  options: { env: { IMSYNC_RETRY_BASE_MS: '200', IMSYNC_RETRY_MAX_MS: '1000' } },
  async play(stage, crowd) {
    await stage.simulator.setFaults({
      rules: [{ match: { command: 'multiaccount_import', rate: 0.1 }, action: { errorCode: 70169 } }],
    });
    const first = crowd('retried');
    const drained = await drainBacklog(stage, [first, { ...first, count: first.count / 10, version: 2 }]);
    await stage.simulator.setFaults({});
    return drained;
  },
};

/** Dead letters of users whom the API refused for a while go out again among the others. */
const redriving: Disturbance = {
  name: 'a redrive running',
  options: {
    simulate: [...API_LATENCY, '--quota', 'account_import=100000'],
    env: {
      IMSYNC_QUOTA_ACCOUNT_IMPORT_PER_SECOND: '10000',
      IMSYNC_RETRY_BASE_MS: '50',
      IMSYNC_RETRY_MAX_MS: '200',
    },
  },
  async play(stage, crowd) {
    await stage.simulator.setFaults({
      latencyMs: [0, 0],
      rules: [
        { match: { userIdPattern: '^refused\\d+-\\d' }, action: { failAccounts: true, singleCode: 70399 } },
      ],
    });
    const refused = crowd('refused', 0.02);
    await fill(stage.redis, stage.keys.stream, refused);
    // Among others who are imported: refusals alone would be taken for a fault of the app, and held.
    for (let i = 0; (await stage.books()).deadLettered < refused.count; i++) {
      await fill(stage.redis, stage.keys.stream, { prefix: `${refused.prefix}fine${i}-`, count: 10 });
      await sleep(20);
    }
    await stage.drained();
    await stage.simulator.setFaults({});
    return drainBacklog(stage, [crowd('live')], async () => {
      const { code, stderr } = await imsyncRun(['dlq', 'redrive', '--force'], stage.env);
      if (code !== 0) throw new Error(`imsync dlq redrive ended with ${code}: ${stderr}`);
      return { redriven: [refused] };
    });
  },
};

const joining: Disturbance = {
  name: 'processes joining and leaving',
  async play(stage, crowd) {
    const drained = await drainBacklog(stage, [crowd('changing')], async () => {
      const [first] = stage.workers;
      await stage.startWorker();
      if (first !== undefined) await stage.stopWorkers([first]);
      await stage.startWorker();
      return {};
    });
    await stage.stopWorkers(stage.workers.slice(2));
    return drained;
  },
};

/** What disturbs a quota: none of it may break it. */
export const quotaDisturbed: Bench = {
  name: 'quota-disturbed',
  about:
    'the quota of 100 calls/s from idle to burst, with retries, a redrive, and processes that come and go',
  runs: 2,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    for (const { name, options, play } of [fromIdle, retries, redriving, joining]) {
      await onStage(context, { workers: 2, simulate: API_LATENCY, ...options }, async (stage) => {
        for (let run = 0; run < context.runs; run++) {
          const drained = await play(stage, crowdOf(context, run));
          addPace(figures, name, drained);
          problems.push(...drained.problems.map((problem) => `${name}: ${problem}`));
          context.say(`${name}: ${drained.maxSurelyInRollingSecond} in a rolling second`);
        }
      });
    }
    return { rows: figures.rows(), problems };
  },
};

const JITTERS_MS = [1, 5, 20] as const;

/** Redis behind a network whose delay varies; 2 processes. */
export const quotaJitter: Bench = {
  name: 'quota-jitter',
  about: 'the quota of 100 calls/s with Redis behind a network that delays each packet by J ± J ms',
  runs: 1,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    for (const jitterMs of JITTERS_MS) {
      let proxy: JitterProxy | undefined;
      const redisPort = async (port: number): Promise<number> => {
        proxy = await startJitterProxy(port, jitterMs);
        return proxy.port;
      };
      await onStage(context, { workers: 2, simulate: API_LATENCY, redisPort }, async (stage) => {
        for (let run = 0; run < context.runs; run++) {
          const drained = await drainBacklog(stage, [crowdOf(context, run)('jittered')]);
          addRate(figures, `J = ${jitterMs} ms`, drained);
          addPace(figures, `J = ${jitterMs} ms`, drained);
          context.say(`J = ${jitterMs} ms: ${drained.maxSurelyInRollingSecond} in a rolling second`);
          problems.push(...drained.problems.map((problem) => `J = ${jitterMs} ms: ${problem}`));
        }
      }).finally(() => proxy?.close());
    }
    return { rows: figures.rows(), problems };
  },
};

function crowdOf(context: BenchContext, run: number) {
  const most = context.quick ? 15_000 : 20_000;
  return (name: string, share = 1): Crowd => ({ prefix: `${name}${run}-`, count: Math.round(most * share) });
}
