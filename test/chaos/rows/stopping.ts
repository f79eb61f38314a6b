import { eventually } from '../../support/eventually.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** SIGTERM: what is on the wire is finished, the rest is left, and it ends in time. */

const TIMEOUT_MS = 5_000;
/** A process needs a moment of its own to end. */
const SLACK_MS = 2_000;

async function ends(arena: Arena, worker: ImsyncProcess, what: string, code: number): Promise<void> {
  const sinceMs = performance.now();
  const ended = await Promise.race([worker.ended, arena.sleep(60_000).then(() => 'never' as const)]);
  const ms = performance.now() - sinceMs;
  arena.progress(`${what}: ended with ${ended} after ${(ms / 1000).toFixed(1)} s`);
  if (ended !== code) arena.problem(`${what}: it ended with ${ended}, not ${code}`);
  arena.took('ended', ms, TIMEOUT_MS + SLACK_MS);
}

const pending = ({ simulator }: Arena): number =>
  simulator.calls().filter(({ outcome }) => outcome === 'pending').length;

const duringCalls: Row = {
  name: 'sigterm-calls',
  promise: 'SIGTERM with calls on the wire: ends with 0 in time; what was on the wire is heard to its end',
  arena: { workers: 2, env: { IMSYNC_SHUTDOWN_TIMEOUT_MS: String(TIMEOUT_MS) } },
  async run(arena) {
    for (let i = 0; i < (arena.brief ? 1 : 4); i++) {
      arena.faults({ rules: [{ action: { latencyMs: [200, 1_500] } }] });
      await eventually('calls on the wire', () => pending(arena) >= 3, 60_000);
      const [leaving] = arena.workers.splice(0, 1);
      if (leaving === undefined) return;
      leaving.signal('SIGTERM');
      await ends(arena, leaving, 'SIGTERM during calls', 0);
      arena.took('again', await arena.takenOver(), 15_000);
      arena.workers.push(await arena.worker());
    }
    arena.faults({});
  },
};

const hanging: Row = {
  name: 'sigterm-hang',
  promise: 'SIGTERM while the API hangs: ends with 0 within its time-out, and others take over',
  arena: {
    workers: 2,
    env: { IMSYNC_SHUTDOWN_TIMEOUT_MS: String(TIMEOUT_MS), IMSYNC_CALL_TIMEOUT_MS: '30000' },
  },
  async run(arena) {
    arena.faults({ rules: [{ match: { rate: 0.5 }, action: { hangMs: -1, work: 'at-arrival' } }] });
    await eventually('calls that hang', () => arena.simulator.report().hangs >= 3, 60_000);
    const [leaving] = arena.workers.splice(0, 1);
    leaving?.signal('SIGTERM');
    arena.faults({});
    if (leaving) await ends(arena, leaving, 'SIGTERM while the API hangs', 0);
    arena.took('again', await arena.takenOver());
  },
};

const twice: Row = {
  name: 'sigterm-twice',
  promise: 'SIGTERM twice: ends with 1 at once, like a kill',
  arena: { workers: 2 },
  async run(arena) {
    arena.faults({ rules: [{ action: { latencyMs: [1_500, 2_500] } }] });
    await eventually('calls on the wire', () => pending(arena) >= 3, 60_000);
    const [leaving] = arena.workers.splice(0, 1);
    leaving?.signal('SIGTERM');
    await leaving?.line('signal received');
    leaving?.signal('SIGTERM');
    if (leaving) await ends(arena, leaving, 'SIGTERM twice', 1);
    arena.faults({});
    arena.took('again', await arena.takenOver(), 15_000);
  },
};

const redisAway: Row = {
  name: 'sigterm-redis-away',
  promise: 'SIGTERM while Redis is away, and while it stands still: ends within its time-out',
  arena: { workers: 3, hearsEnds: false, env: { IMSYNC_SHUTDOWN_TIMEOUT_MS: String(TIMEOUT_MS) } },
  async run(arena) {
    const [first, second] = arena.workers.splice(0, 2);
    await arena.sleep(1_000);
    // In order, so that its file holds all that it acknowledged: this row is about the worker.
    await arena.server.shutdown();
    await first?.line('Redis is lost; waiting for it');
    first?.signal('SIGTERM');
    if (first) await ends(arena, first, 'SIGTERM while Redis is away', 0);
    await arena.server.restart();
    await arena.sleep(2_000);
    process.kill(arena.server.pid(), 'SIGSTOP');
    try {
      await arena.sleep(1_000);
      second?.signal('SIGTERM');
      if (second) await ends(arena, second, 'SIGTERM while Redis stands still', 0);
    } finally {
      process.kill(arena.server.pid(), 'SIGCONT');
    }
    arena.took('again', await arena.takenOver(), 15_000);
  },
};

export const stoppingRows: readonly Row[] = [duringCalls, hanging, twice, redisAway];
