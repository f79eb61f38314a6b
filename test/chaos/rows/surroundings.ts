import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../support/eventually.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import { startSentinels, type TestSentinels } from '../../support/redis-sentinel.ts';
import type { Arena } from '../arena.ts';
import { throttle } from '../quarter-core.ts';
import type { Row } from '../row.ts';
import { AGAIN_MS, breaking, firstCall, LINES, through, troubles } from './redis.ts';

/** What machines and networks do to a worker: connections that are ended, machines that sleep, too little of a core. */

const clientsKilled: Row = {
  name: 'redis-clients-killed',
  promise: 'all clients of Redis are killed each second for a minute: nothing is lost, calls go on at once',
  short: true,
  arena: breaking,
  async run(arena) {
    const [times, everyMs] = arena.brief ? [25, 200] : [60, 1_000];
    await through(
      arena,
      async () => {
        for (let i = 0; i < times; i++) {
          await arena.redis.call('CLIENT', 'KILL', 'TYPE', 'NORMAL').catch(() => undefined);
          await arena.sleep(everyMs);
        }
      },
      async () => undefined,
      // Each time that it was lost is said, and nothing else.
      times + 1,
    );
  },
};

const floodPath = fileURLToPath(new URL('../flood.js', import.meta.url));
const REFUSED = /max number of clients reached.*raise it, or see who holds them/;

const maxClients: Row = {
  name: 'redis-maxclients',
  promise:
    '5,000 producers connect again and again, more than Redis takes: workers keep their connections and go on, others are told why',
  arena: { workers: 2 },
  async run(arena) {
    const [processes, producers] = arena.brief ? [1, 300] : [5, 1_000];
    const now = Number(/connected_clients:(\d+)/.exec(await arena.redis.info('clients'))?.[1]);
    await arena.redis.config('SET', 'maxclients', String(now + Math.round(0.5 * processes * producers)));
    const floods = Array.from({ length: processes }, () => {
      const args = [floodPath, String(arena.server.port), String(producers), 'others:user-created'];
      const child = spawn(process.execPath, args, { stdio: 'ignore' });
      arena.atEnd(async () => child.kill('SIGKILL'));
      return child;
    });
    const rejected = async (): Promise<number> =>
      Number(/rejected_connections:(\d+)/.exec(await arena.redis.info('stats'))?.[1]);
    await eventually('Redis takes no more', async () => (await rejected()) > producers);
    const fullAtMs = Date.now();
    arena.took('again', await firstCall(arena, fullAtMs), AGAIN_MS);
    await arena.sleep(arena.brief ? 1_000 : 30_000);
    arena.note(`${await rejected()} connections were refused`);
    for (const child of floods) child.kill('SIGKILL');
    // In the flood a verb may get a place that has just become free. Whoever has one keeps it here.
    await arena.redis.config('SET', 'maxclients', '1');
    const { code, stderr } = await arena.verb(['status']);
    if (code !== 3 || !REFUSED.test(stderr)) arena.problem(`a verb ended with ${code}: ${stderr}`);
    await arena.redis.config('SET', 'maxclients', '10000');
    await arena.flow.burst(400);
    arena.took('full rate', await arena.fullRate(Date.now()));
    keptTheirConnections(arena);
  },
};

/** BullMQ replaces its connection when an answer is a second late, and may have to try that again. It says so once. */
function keptTheirConnections(arena: Arena): void {
  for (const worker of arena.workers) {
    const said = troubles(worker);
    arena.note(`${said.length} lines of trouble`);
    const lost = said.find((line) => line.includes('Redis is lost'));
    if (lost !== undefined) arena.problem(`a worker lost its connection: ${lost}`);
    if (said.length > LINES) arena.problem(`a worker wrote ${said.length} lines of trouble: ${said[0]}`);
  }
}

/** Longer than all leases: a worker's locks (15 s at most), its slots, its presence. */
const ASLEEP_MS = 40_000;

const asleep: Row = {
  name: 'asleep',
  promise:
    'a laptop sleeps: a worker stands still for 40 s in the middle of a backlog, others take over; awake, it exceeds no quota and settles nothing twice',
  arena: { workers: 3, eventsPerSecond: 210 },
  async run(arena) {
    for (let i = 0; i < (arena.brief ? 1 : 2); i++) {
      await arena.flow.burst(1_500);
      await arena.fullRate(Date.now());
      const sleeper = arena.workers[i];
      sleeper?.signal('SIGSTOP');
      const againMs = await arena.takenOver();
      arena.took('again', againMs, 15_000);
      await arena.sleep(ASLEEP_MS - againMs);
      // It wakes while the others are at the full rate.
      await arena.flow.burst(1_500);
      await arena.fullRate(Date.now());
      const wokenAtMs = Date.now();
      sleeper?.signal('SIGCONT');
      const had = sleeper?.lines.length ?? 0;
      await eventually(
        'the woken worker works',
        async () => {
          await arena.flow.burst(50);
          return sleeper?.lines.slice(had).some((line) => line.includes('"callId"'));
        },
        60_000,
        500,
      );
      arena.took('works, awake', Date.now() - wokenAtMs);
    }
  },
};

async function isAlive(worker: ImsyncProcess): Promise<boolean> {
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  // A probe of Kubernetes waits for a second; this machine is busier than theirs.
  const response = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(10_000) });
  return response.status === 200;
}

const quarterCore: Row = {
  name: 'quarter-core',
  promise: 'each worker has a quarter of a core: the quota is never exceeded, and /livez stays green',
  arena: { workers: 2, eventsPerSecond: 150 },
  async run(arena) {
    const throttles = arena.workers.map(({ pid }) => throttle(pid));
    arena.atEnd(() => Promise.all(throttles.map(({ end }) => end())));
    arena.note(throttles.map(({ how }) => how).join(', '));
    await arena.flow.burst(1_000);
    const before = arena.simulator.report().commands.multiaccount_import?.calls ?? 0;
    for (let i = 0; i < (arena.brief ? 4 : 30); i++) {
      for (const worker of arena.workers)
        if (!(await isAlive(worker))) arena.problem('a worker with a quarter of a core is called stuck');
      await arena.sleep(1_000);
    }
    const calls = (arena.simulator.report().commands.multiaccount_import?.calls ?? 0) - before;
    arena.note(`${calls} calls meanwhile`);
    if (calls === 0) arena.problem('no call was made');
  },
};

let sentinels: TestSentinels | undefined;
const sentinelsGone: Row = {
  name: 'sentinels-gone',
  promise:
    'all sentinels are gone for 40 s: work goes on; connections that are cut meanwhile come back with the sentinels',
  arena: {
    ...breaking,
    store: async () => {
      sentinels = await startSentinels();
      return sentinels;
    },
  },
  async run(arena: Arena) {
    await sentinels?.loseSentinels();
    const lostAtMs = Date.now();
    await arena.sleep(arena.brief ? 2_000 : 20_000);
    arena.took('goes on', await firstCall(arena, Date.now()), AGAIN_MS);
    keptTheirConnections(arena);
    await arena.redis.call('CLIENT', 'KILL', 'TYPE', 'NORMAL').catch(() => undefined);
    await arena.sleep(Math.max(2_000, (arena.brief ? 5_000 : 40_000) - (Date.now() - lostAtMs)));
    await sentinels?.bringSentinelsBack();
    const acknowledged = arena.flow.acknowledged.length;
    await eventually(
      'events are taken again',
      () => arena.flow.acknowledged.length > acknowledged + 5,
      60_000,
    );
    arena.took('again', await firstCall(arena, Date.now()), AGAIN_MS);
  },
};

export const surroundingRows: readonly Row[] = [
  clientsKilled,
  maxClients,
  asleep,
  quarterCore,
  sentinelsGone,
];
