import { Queue } from 'bullmq';
import { eventually } from '../../test/support/eventually.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { startSimulate } from '../../test/support/simulate.ts';
import { mostWithin, ratePerSecond } from '../measure/arrivals.ts';
import { US } from '../report/row.ts';
import { batchUrl, callCrowd } from '../stage/api-user.ts';
import { drainBacklog } from '../stage/backlog.ts';
import type { Bench, BenchContext } from '../stage/bench.ts';
import { wrongAccounts } from '../stage/crowd.ts';
import { createFigures } from '../stage/figures.ts';
import { type Peer, startPeer } from '../stage/peer.ts';
import { LIFTED_SIMULATOR, onStage } from '../stage/stage.ts';
import { API_LATENCY, QUOTA, STRIP_BIN_MS, stripOf } from './quota.ts';

const PEERS = [
  { who: "BullMQ's limiter", file: 'quota-bullmq', processes: 2 },
  { who: 'rate-limiter-flexible', file: 'quota-rate-limiter-flexible', processes: 2 },
  { who: 'bottleneck', file: 'quota-bottleneck', processes: 2 },
  { who: 'p-throttle, 1 process', file: 'quota-p-throttle', processes: 1 },
] as const;
/** Two seconds of the quota. */
const CALLS = 200;
type QuotaPeer = (typeof PEERS)[number];

interface Arrivals {
  readonly arrivalsMs: readonly number[];
  readonly problems: readonly string[];
}

/** The same backlog of calls, held to 100 a second by each; the receiver has no limit, so that it sees all. */
export const quotaPeers: Bench = {
  name: 'quota-peers',
  about: 'who keeps 100 calls/s under a backlog, 2 processes, API latency 50–150 ms',
  runs: 2,
  async run(context) {
    const figures = createFigures();
    const problems: string[] = [];
    const strips = new Map<string, { readonly detail: string; readonly counts: readonly number[] }>();
    const add = (who: string, { arrivalsMs, problems: found }: Arrivals): void => {
      const most = mostWithin(arrivalsMs, 1000);
      const used = (100 * ratePerSecond(arrivalsMs)) / QUOTA;
      figures.add({ what: 'most arrivals in a rolling second', who, unit: 'calls' }, most);
      figures.add({ what: 'most arrivals in 10 ms', who, unit: 'calls' }, mostWithin(arrivalsMs, 10));
      figures.add({ what: 'quota used', who, unit: '% of calls/s' }, used);
      problems.push(...found.map((problem) => `${who}: ${problem}`));
      strips.set(who, {
        detail: `at most ${most} in a second, ${used.toFixed(1)} % of the quota used`,
        counts: stripOf(arrivalsMs),
      });
      context.say(`${who}: ${most} in a rolling second, ${used.toFixed(1)} % used`);
    };
    for (let run = 0; run < context.runs; run++) {
      add(US, await measureUs(context));
      for (const peer of PEERS) add(peer.who, await measurePeer(peer));
    }
    return {
      rows: figures.rows(),
      problems,
      charts: [
        {
          kind: 'strips',
          file: 'arrivals.svg',
          title: 'Arrivals at the API under a backlog, quota 100 calls a second',
          about: 'The first three seconds, as the receiver saw them; two processes each.',
          binMs: STRIP_BIN_MS,
          strips: [...strips].map(([label, strip]) => ({ label, ...strip })),
        },
      ],
    };
  },
};

function measureUs(context: BenchContext): Promise<Arrivals> {
  return onStage(context, { workers: 2, simulate: API_LATENCY }, async (stage) => {
    // The first slot comes a second after the start; this takes it.
    await drainBacklog(stage, [{ prefix: 'first-', count: 100 }]);
    return drainBacklog(stage, [{ prefix: 'u', count: 100 * CALLS }]);
  });
}

async function measurePeer({ file, processes }: QuotaPeer): Promise<Arrivals> {
  const server = await startRedis();
  const simulator = await startSimulate([...API_LATENCY, ...LIFTED_SIMULATOR]);
  const queue = new Queue('quota-peer', { connection: { port: server.port, host: '127.0.0.1' } });
  const peers: Peer[] = [];
  const prefixes = Array.from({ length: CALLS }, (_, i) => `p${i}-`);
  try {
    if (file === 'quota-bullmq') {
      await queue.addBulk(prefixes.map((prefix) => ({ name: 'call', data: { prefix } })));
    }
    for (let i = 0; i < processes; i++) {
      const calls = prefixes.filter((_, at) => at % processes === i);
      const task = { redisPort: server.port, callUrl: batchUrl(simulator.url), concurrency: 50, calls };
      peers.push(await startPeer(file, task));
    }
    for (const peer of peers) peer.begin();
    if (file === 'quota-bullmq') await emptied(queue);
    else await Promise.all(peers.map((peer) => peer.done()));
    const arrivalsMs = (await simulator.calls()).map(({ arrivedAtMs }) => arrivedAtMs);
    return { arrivalsMs, problems: wrongAccounts(prefixes.map(callCrowd), await simulator.accounts()) };
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
    await queue.close();
    simulator.process.signal('SIGTERM');
    await simulator.process.ended;
    await server.stop();
  }
}

async function emptied(queue: Queue): Promise<void> {
  await eventually(
    'the queue of the peer is empty',
    async () => (await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized')) === 0,
    120_000,
  );
}
