import { Redis } from 'ioredis';
import { UserCreatedProducer } from '../../src/index.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { TEST_APP } from '../../test/support/simulator.ts';
import { US } from '../report/row.ts';
import type { Bench } from '../stage/bench.ts';
import { type CrowdUser, usersOf } from '../stage/crowd.ts';
import { openEventPeer } from '../stage/event-peer.ts';
import { createFigures } from '../stage/figures.ts';

const LIST = 1_000;
const ADD_BULK = "BullMQ's addBulk";

/** From the app's side: lists of 1,000 users until Redis has acknowledged them, one list after the other. */
export const producing: Bench = {
  name: 'producing',
  about: 'lists of 1,000 users from one TypeScript process, each acknowledged before the next',
  runs: 3,
  async run({ runs, quick, say }) {
    const figures = createFigures();
    const problems: string[] = [];
    const users = usersOf({ prefix: 'user-', count: quick ? 20_000 : 100_000 });
    for (let run = 0; run < runs; run++) {
      const ours = await produceOurs(users, problems);
      const peers = await producePeers(users.slice(0, users.length / 2), problems);
      figures.add({ what: 'events acknowledged', unit: 'events/s' }, ours.perSecond);
      figures.add({ what: 'CPU of the app an event', unit: 'µs' }, ours.cpuMicros);
      figures.add({ what: 'events acknowledged', who: ADD_BULK, unit: 'events/s' }, peers.perSecond);
      figures.add({ what: 'CPU of the app an event', who: ADD_BULK, unit: 'µs' }, peers.cpuMicros);
      const ratio = ours.perSecond / peers.perSecond;
      figures.add({ what: 'events acknowledged, ratio', unit: '× the peer', target: { atLeast: 2 } }, ratio);
      say(`${Math.round(ours.perSecond)} events/s, ${US} to ${ADD_BULK} ${ratio.toFixed(1)} to 1`);
    }
    return { rows: figures.rows(), problems };
  },
};

interface Produced {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function produceOurs(users: readonly CrowdUser[], problems: string[]): Promise<Produced> {
  const server = await startRedis();
  const producer = new UserCreatedProducer({ sdkAppId: TEST_APP.sdkAppId, redis: server.settings });
  const redis = new Redis({ port: server.port, host: '127.0.0.1' });
  try {
    await producer.addMany(users.slice(0, 2 * LIST));
    const produced = await timed(users, async (list) => {
      const refused = (await producer.addMany(list)).filter(({ ok }) => !ok).length;
      if (refused > 0) problems.push(`${refused} events were not accepted`);
    });
    const held = await redis.xlen(keysOf(TEST_APP.sdkAppId).stream);
    if (held !== users.length + 2 * LIST) problems.push(`the stream holds ${held} events`);
    return produced;
  } finally {
    await producer.close();
    await redis.quit();
    await server.stop();
  }
}

async function producePeers(users: readonly CrowdUser[], problems: string[]): Promise<Produced> {
  const peer = await openEventPeer(0, 1);
  try {
    await peer.add({ prefix: 'first-', count: 2 * LIST });
    const produced = await timed(users, async (list) => {
      await peer.queue.addBulk(list.map((data) => ({ name: 'user', data })));
    });
    const held = await peer.left();
    if (held !== users.length + 2 * LIST) problems.push(`${ADD_BULK}: the queue holds ${held} jobs`);
    return produced;
  } finally {
    await peer.close();
  }
}

async function timed(
  users: readonly CrowdUser[],
  add: (list: readonly CrowdUser[]) => Promise<void>,
): Promise<Produced> {
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  for (let from = 0; from < users.length; from += LIST) await add(users.slice(from, from + LIST));
  const tookMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { perSecond: (users.length * 1000) / tookMs, cpuMicros: (user + system) / users.length };
}
