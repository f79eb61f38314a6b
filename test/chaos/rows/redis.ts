import { compareEventIds } from '../../../src/event/event.ts';
import { readTotals } from '../../../src/ledger/totals.ts';
import { closeRedis, openRedis, type RedisClient } from '../../../src/redis/connect.ts';
import { eventually } from '../../support/eventually.ts';
import { startFarProxy } from '../../support/far-proxy.ts';
import { startHalfOpenProxy } from '../../support/half-open-proxy.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import { startCluster } from '../../support/redis-cluster.ts';
import { startSentinels } from '../../support/redis-sentinel.ts';
import { freePort } from '../../support/redis-server.ts';
import type { Arena, ArenaOptions, Store } from '../arena.ts';
import type { Sent } from '../flow.ts';
import type { Row } from '../row.ts';

/** Redis at its worst. When it is back a burst of events comes, so that the full rate shows. */

/** Calls are made again this long after the fault. The full rate is told, not judged: it is the machine's, too. */
export const AGAIN_MS = 5_000;
/** Lines of trouble of one worker for one fault: one for each change, a few for what breaks with it. */
export const LINES = 6;
/** Commands a second that an arena's processes may send to a Redis that is of no use. */
const COMMANDS_PER_SECOND = 200;

/** Words on a channel are lost with a connection. */
export const breaking: ArenaOptions = { workers: 2, hearsEnds: false };
const BURST = 800;

export const troubles = ({ lines }: ImsyncProcess): string[] =>
  lines.filter((line) => /"level":"(error|fatal)"/.test(line));

/** Runs a fault and heals it; sees how loud the workers were, and when the full rate was back. */
export async function through(
  arena: Arena,
  fault: () => Promise<unknown>,
  heal: () => Promise<unknown>,
  mostLines = LINES,
): Promise<void> {
  const before = arena.workers.map((worker) => troubles(worker).length);
  await fault();
  const acknowledged = arena.flow.acknowledged.length;
  await heal();
  const healedAtMs = Date.now();
  // The flow's own connection comes back in its own time, as a producer's does.
  await eventually('events are taken again', () =>
    arena.flow.burst(BURST).then(() => arena.flow.acknowledged.length > acknowledged),
  );
  arena.took('again', await firstCall(arena, healedAtMs), AGAIN_MS);
  arena.took('full rate', await arena.fullRate(healedAtMs));
  for (const [i, worker] of arena.workers.entries()) {
    const said = troubles(worker).slice(before[i]);
    if (said.length > mostLines)
      arena.problem(
        `a worker wrote ${said.length} lines of trouble, the first: ${said.slice(0, 3).join(' ')}`,
      );
    if (worker.child.exitCode !== null || worker.child.signalCode !== null)
      arena.problem(`a worker ended with ${worker.child.exitCode ?? worker.child.signalCode}`);
  }
  arena.note(
    `lines of trouble: ${arena.workers.map((w, i) => troubles(w).length - (before[i] ?? 0)).join(', ')}`,
  );
}

/** How long after `sinceMs` (`Date.now()`) the next call arrived. */
export async function firstCall({ simulator }: Arena, sinceMs: number): Promise<number> {
  const call = await eventually(
    'a call is made',
    () => simulator.calls().find(({ arrivedAtMs }) => arrivedAtMs >= sinceMs),
    60_000,
  );
  return call.arrivedAtMs - sinceMs;
}

/** How many commands Redis gets meanwhile, a second; by its own count. */
async function notSpinning(arena: Arena, ms: number): Promise<void> {
  // What workers and nobody else here send by the dozen.
  const count = async (): Promise<number> => {
    const stats = await arena.redis.info('commandstats');
    const calls = [
      ...stats.matchAll(/cmdstat_(?:evalsha|eval|bzpopmin|xread|hdel):calls=(\d+).*?rejected_calls=(\d+)/g),
    ];
    return calls.reduce((sum, [, done, rejected]) => sum + Number(done) + Number(rejected), 0);
  };
  const startedMs = performance.now();
  const before = await count();
  await arena.sleep(ms);
  const perSecond = ((await count()) - before) / ((performance.now() - startedMs) / 1_000);
  arena.note(`${Math.round(perSecond)} commands a second meanwhile`);
  if (perSecond > COMMANDS_PER_SECOND)
    arena.problem(`${Math.round(perSecond)} commands a second reach a Redis that refuses`);
}

const killed: Row = {
  name: 'redis-killed',
  promise: 'Redis is killed and started again from its append-only file: nothing acknowledged is lost',
  arena: breaking,
  async run(arena) {
    for (let i = 0; i < (arena.brief ? 1 : 3); i++) {
      await through(
        arena,
        async () => {
          await arena.server.kill();
          await arena.sleep(arena.brief ? 1_500 : 4_000);
        },
        () => arena.server.restart(),
      );
    }
  },
};

const frozen: Row = {
  name: 'redis-frozen',
  promise: 'Redis stands still for 20 s with its connections open, then goes on',
  arena: breaking,
  async run(arena) {
    const pid = arena.server.pid();
    await through(
      arena,
      async () => {
        process.kill(pid, 'SIGSTOP');
        await arena.sleep(20_000);
      },
      async () => process.kill(pid, 'SIGCONT'),
    );
  },
};

const cut: Row = {
  name: 'redis-cut',
  promise: 'all connections to Redis are cut, again and again',
  arena: breaking,
  async run(arena) {
    await through(
      arena,
      async () => {
        for (let i = 0; i < 5; i++) {
          await arena.redis.call('CLIENT', 'KILL', 'TYPE', 'PUBSUB');
          await arena.redis.call('CLIENT', 'KILL', 'TYPE', 'NORMAL').catch(() => undefined);
          await arena.sleep(700);
        }
      },
      async () => undefined,
    );
  },
};

/** What a worker may take to find out that its connections are dead, and to work again. */
const HALF_OPEN_MS = 30_000;

const halfOpen: Row = {
  name: 'redis-half-open',
  promise:
    'packets to Redis and back vanish while every connection stays open; new ones pass: workers work again within 30 s',
  arena: { ...breaking, workers: 0 },
  async run(arena) {
    const proxy = await startHalfOpenProxy(arena.server.port);
    arena.atEnd(() => proxy.close());
    const env = { IMSYNC_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
    arena.workers.push(await arena.worker(env), await arena.worker(env));
    for (let i = 0; i < (arena.brief ? 1 : 2); i++) {
      const said = arena.workers.map(({ lines }) => lines.length);
      await arena.fullRate(Date.now());
      const vanishedAtMs = Date.now();
      proxy.vanish();
      await arena.flow.burst(BURST);
      await arena.sleep(3_000);
      proxy.pass();
      // What was in hand has gone out by now.
      await firstCall(arena, Date.now());
      const againMs = Date.now() - vanishedAtMs;
      arena.progress(`calls were made again after ${(againMs / 1_000).toFixed(1)} s`);
      arena.took('again', againMs, HALF_OPEN_MS);
      await arena.fullRate(Date.now());
      arena.took('full rate', Date.now() - vanishedAtMs);
      for (const [n, worker] of arena.workers.entries()) {
        const news = () => worker.lines.slice(said[n]);
        const back = await eventually('it says that Redis is back', () =>
          news().find((line) => line.includes('Redis is back')),
        );
        if (!/the connection is considered dead and made again/.test(news().join(' ')))
          arena.problem(`a worker does not say that its connection was dead: ${back}`);
        const trouble = news().filter((line) => /"level":"(error|fatal)"/.test(line));
        if (trouble.length > LINES)
          arena.problem(`a worker wrote ${trouble.length} lines of trouble: ${trouble[0]}`);
        arena.note(`${trouble.length} lines of trouble`);
      }
    }
  },
};

const full: Row = {
  name: 'redis-full',
  promise:
    'Redis is out of memory: it takes no event, what it has is worked off, and all goes on when there is room',
  arena: { workers: 2 },
  async run(arena) {
    await through(
      arena,
      async () => {
        await arena.redis.config('SET', 'maxmemory', '1mb');
        const refused = arena.flow.refused;
        await eventually('Redis refuses events', () => arena.flow.refused > refused);
        await eventually(
          'all that was accepted is done',
          async () => (await arena.redis.xlen(arena.keys.stream)) === 0,
          120_000,
        );
        await notSpinning(arena, 4_000);
      },
      () => arena.redis.config('SET', 'maxmemory', '0'),
    );
  },
};

const readOnly: Row = {
  name: 'redis-read-only',
  promise: 'Redis is made a replica and takes no writes, with its connections open; then a primary again',
  arena: breaking,
  async run(arena) {
    await through(
      arena,
      async () => {
        // Of nobody: it keeps its data and waits for a primary that never answers.
        await arena.redis.call('REPLICAOF', '127.0.0.1', String(await freePort()));
        await arena.sleep(2_000);
        await notSpinning(arena, arena.brief ? 2_000 : 10_000);
      },
      () => arena.redis.call('REPLICAOF', 'NO', 'ONE'),
    );
    for (const worker of arena.workers) {
      const said = troubles(worker).filter((line) => line.includes('it is a replica and takes no writes'));
      if (said.length !== 1) arena.problem(`a worker said ${said.length} times that Redis is a replica`);
    }
  },
};

const scriptsGone: Row = {
  name: 'redis-scripts',
  promise: 'Redis forgets all scripts, again and again',
  arena: { workers: 2 },
  async run(arena) {
    await through(
      arena,
      async () => {
        for (let i = 0; i < 100; i++) {
          await arena.redis.script('FLUSH');
          await arena.sleep(20);
        }
      },
      async () => undefined,
    );
  },
};

const far: Row = {
  name: 'redis-far',
  promise: 'Redis is 100 ms away, with jitter and stalls: quota and books hold',
  arena: { workers: 0, eventsPerSecond: 150 },
  async run(arena) {
    const proxy = await startFarProxy(arena.server.port, arena.random);
    try {
      const env = { IMSYNC_REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
      arena.workers.push(await arena.worker(env), await arena.worker(env), await arena.worker(env));
      proxy.delay(40, 80);
      await arena.sleep(arena.brief ? 5_000 : 20_000);
      const before = arena.simulator.report().commands.multiaccount_import?.calls ?? 0;
      for (let i = 0; i < (arena.brief ? 1 : 4); i++) {
        proxy.stall(1_500 + 1_500 * arena.random());
        await arena.sleep(5_000);
      }
      const calls = (arena.simulator.report().commands.multiaccount_import?.calls ?? 0) - before;
      arena.note(`${calls} calls in the time of the stalls`);
      if (calls === 0) arena.problem('no call was made while Redis was far away');
      // From near to far and back within a moment: samples of the clock from both.
      for (let i = 0; i < 10; i++) {
        proxy.delay(i % 2 === 0 ? 0 : 40, i % 2 === 0 ? 1 : 160);
        await arena.sleep(500);
      }
      proxy.delay(0, 1);
      const nearAtMs = Date.now();
      await arena.flow.burst(BURST);
      arena.took('full rate', await arena.fullRate(nearAtMs));
      await arena.flow.stop();
      await eventually(
        'all is done',
        async () => {
          // What was parked comes back to the intake when a call settles, so the stream alone does not tell.
          const { accepted, imported, superseded, deadLettered } = await readTotals(arena.redis, arena.keys);
          return accepted === imported + superseded + deadLettered;
        },
        120_000,
      );
      for (const worker of arena.workers) worker.signal('SIGTERM');
      await Promise.all(arena.workers.map(({ ended }) => ended));
    } finally {
      await proxy.close();
    }
  },
};

const emptied: Row = {
  name: 'redis-emptied',
  promise: 'Redis is emptied: said loudly by every worker, and work goes on with what comes then',
  arena: { ...breaking, eventsPerSecond: 50 },
  async run(arena) {
    arena.flow.rate(0);
    await eventually(
      'nothing is on the way',
      async () =>
        (await arena.redis.zcard(arena.keys.open)) === 0 && (await arena.redis.xlen(arena.keys.stream)) === 0,
      60_000,
    );
    // Who has left no sign of life yet has nothing to miss.
    await eventually(
      'every worker has signed',
      async () => (await arena.redis.hlen(arena.keys.workers)) >= arena.workers.length,
      60_000,
    );
    // What is lost here is what was counted: the books begin anew, and with them the judgement.
    const before = arena.flow.acknowledged.length;
    await arena.redis.flushall();
    (arena.flow.acknowledged as unknown[]).splice(0, before);
    const emptiedAtMs = Date.now();
    arena.flow.rate(150);
    arena.took('again', await firstCall(arena, emptiedAtMs), AGAIN_MS);
    for (const worker of arena.workers) await worker.line(LOST_ALL);
    await arena.flow.burst(BURST);
  },
};

const LOST_ALL =
  'Redis has lost what it held: it was emptied, or put back to an earlier state. Events that waited or were in calls are gone, with the books, the dead letters and a pause. Work goes on; push again what is missing';

/** The store of a row that wants another one than a redis-server of its own. */
function stored<T extends Store>(
  start: () => Promise<T>,
): { readonly store: () => Promise<T>; at: T | undefined } {
  const kept: { store: () => Promise<T>; at: T | undefined } = {
    at: undefined,
    store: async () => {
      kept.at = await start();
      return kept.at;
    },
  };
  return kept;
}

/** Kills the primary, again if it is wanted; what replication had not carried is lost, and would be counted. */
async function failedOver(arena: Arena, killPrimary: () => Promise<unknown>): Promise<void> {
  const acknowledged = arena.flow.acknowledged.length;
  await killPrimary();
  const killedAtMs = Date.now();
  await eventually('events are taken again', () => arena.flow.acknowledged.length > acknowledged + 5, 60_000);
  const takenMs = Date.now();
  arena.took('events taken', takenMs - killedAtMs);
  arena.took('again', await firstCall(arena, takenMs), AGAIN_MS);
  for (const worker of arena.workers) {
    if (worker.child.exitCode !== null) arena.problem(`a worker ended with ${worker.child.exitCode}`);
    arena.note(`${troubles(worker).length} lines of trouble`);
  }
}

const ofCluster = stored(() => startCluster());
const clusterOwner: Row = {
  name: 'cluster-owner',
  promise: 'on a cluster, the node that holds our keys is killed: its replica takes over, nothing is lost',
  arena: { ...breaking, store: ofCluster.store },
  run: (arena) => failedOver(arena, async () => (await ofCluster.at?.ownerOf(arena.keys.stream))?.kill()),
};

const ofSentinels = stored(() => startSentinels());
const sentinelKilled: Row = {
  name: 'sentinel-killed',
  promise: 'under sentinels, the primary is killed: its replica takes over, nothing is lost',
  arena: { ...breaking, store: ofSentinels.store },
  run: (arena) => failedOver(arena, async () => (await ofSentinels.at?.primary())?.kill()),
};

const ofLag = stored(() => startSentinels());
/** How long the replica stays behind before the primary is killed. */
const LAG_MS = 4_000;
const sentinelLag: Row = {
  name: 'sentinel-lag',
  promise:
    'under sentinels, the primary is killed while its replica is seconds behind: exactly what replication had not carried is lost, counted; all else ends as it must',
  arena: { ...breaking, store: ofLag.store },
  async run(arena) {
    await arena.fullRate(Date.now());
    const primary = await ofLag.at?.primary();
    const replica = ofLag.at?.servers.find((server) => server !== primary);
    if (primary === undefined || replica === undefined) throw new Error('there is no primary and replica');
    const [there, behind] = [primary, replica].map(({ settings }) =>
      openRedis(settings, 'loop', 'chaos', () => undefined),
    ) as [RedisClient, RedisClient];
    arena.atEnd(() => Promise.all([closeRedis(there), closeRedis(behind)]));
    // It is cut off, and may not follow again; what it has stays.
    await there.call('ACL', 'SETUSER', 'default', '-psync', '-sync', '-replconf');
    await there.call('CLIENT', 'KILL', 'TYPE', 'REPLICA');
    await eventually('the replica has lost its primary', async () =>
      (await behind.info('replication')).includes('master_link_status:down'),
    );
    const cutAtMs = Date.now();
    await arena.sleep(LAG_MS);
    const carried = await lastIdOf(behind, arena.keys.stream);
    const carriedEvents = (await readTotals(behind, arena.keys)).accepted;
    await failedOver(arena, async () => {
      await primary.kill();
      // From here on nobody acknowledges anything until the replica is the primary.
      const all = arena.flow.acknowledged as Sent[];
      const lost = all.filter(({ eventId }) => compareEventIds(eventId, carried) > 0);
      all.splice(0, all.length, ...all.filter(({ eventId }) => compareEventIds(eventId, carried) <= 0));
      // By the replica's own count: whoever called more of them lost would not miss those that really are.
      if (all.length !== carriedEvents)
        arena.problem(`the replica held ${carriedEvents} events, and ${all.length} are taken for carried`);
      // Some were imported before they were forgotten: the API may show them, and need not.
      (arena.flow.unsure as Sent[]).push(...lost);
      arena.note(
        `${lost.length} acknowledged events of ${((Date.now() - cutAtMs) / 1_000).toFixed(1)} s were not carried`,
      );
      if (lost.length === 0) arena.problem('the replica was not behind: the row proves nothing');
    });
    const unsure = arena.flow.unsure.filter(({ eventId }) => eventId === '').length;
    await arena.flow.burst(BURST);
    await arena.flow.stop();
    const books = await eventually(
      'all has ended',
      async () => {
        const now = await readTotals(arena.redis, arena.keys);
        return now.imported + now.superseded + now.deadLettered === now.accepted && now;
      },
      120_000,
    );
    const more = books.accepted - arena.flow.acknowledged.length;
    if (more < 0 || more > unsure)
      arena.problem(
        `${arena.flow.acknowledged.length} events were carried or came later, ${unsure} more are unsure, and ${books.accepted} are in the books`,
      );
  },
};

async function lastIdOf(redis: RedisClient, stream: string): Promise<string> {
  const info = (await redis.call('XINFO', 'STREAM', stream)) as unknown[];
  return String(info[info.indexOf('last-generated-id') + 1]);
}

const ofSwitch = stored(() => startSentinels());
const sentinelSwitch: Row = {
  name: 'sentinel-switch',
  promise: 'under sentinels, an operator switches primary and replica: nothing is lost',
  arena: { ...breaking, store: ofSwitch.store },
  run: (arena) => failedOver(arena, async () => ofSwitch.at?.failOver()),
};

export const redisRows: readonly Row[] = [
  ...[killed, frozen, cut, halfOpen, full, readOnly, scriptsGone, emptied, far],
  ...[clusterOwner, sentinelKilled, sentinelLag, sentinelSwitch],
];
