import { eventually } from '../../support/eventually.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import { type Arena, BATCH_SIZE } from '../arena.ts';
import type { Row } from '../row.ts';

/** `kill -9`, at random moments and at every point that has a name. */

/** A killed worker's work runs again within this (promise 5). */
const AGAIN_WITHIN_MS = 15_000;

/** Waits until a victim reached its point and died. */
async function died(arena: Arena, victim: ImsyncProcess, point: string): Promise<void> {
  await eventually(`a process reaches ${point}`, () => victim.child.signalCode === 'SIGKILL', 60_000);
  await victim.ended;
  if (!victim.stderr().includes(`chaos: at ${point}`)) arena.problem(`the process did not die at ${point}`);
}

/** Kills a worker at a point, and sees what it had taken over. */
async function killAt(arena: Arena, point: string, atMostPassing = 6): Promise<void> {
  const passing = 1 + Math.floor(arena.random() * atMostPassing);
  await died(arena, arena.victim(point, passing), point);
  await workAgain(arena, `killed at ${point}, passing ${passing}`);
}

async function workAgain(arena: Arena, what: string): Promise<void> {
  const ms = await arena.takenOver();
  arena.progress(`${what}: the work ran again after ${(ms / 1000).toFixed(1)} s`);
  arena.took('again', ms, AGAIN_WITHIN_MS);
}

const POINTS = [
  'cut:before',
  'cut:after',
  'claim:before',
  'claim:after',
  'slot:before',
  'slot:after:0',
  'slot:after:1',
  'post:sent:multiaccount_import',
  'hold:before',
  'settle:before',
  'settle:after',
] as const;

const alongTheWay: Row = {
  name: 'kill-points',
  promise:
    'a worker killed at every step of a call, from the cut to its end: its work runs again within 15 s',
  short: true,
  arena: { workers: 1 },
  async run(arena) {
    const chosen = arena.brief ? ['cut:after', 'post:sent:multiaccount_import', 'settle:before'] : POINTS;
    for (const point of chosen) await killAt(arena, point);
  },
};

const inSplit: Row = {
  name: 'kill-split',
  promise: 'a worker killed while it searches a refused call for its culprit',
  arena: { workers: 1 },
  async run(arena) {
    arena.faults({
      rules: [
        {
          name: 'worse',
          match: { userIdPattern: '^hot-1', timesPerAccount: 2 },
          action: { accountCode: 60015 },
        },
      ],
    });
    for (const point of ['slot:after:2', 'post:sent:account_import', 'settle:before', 'settle:after'])
      await killAt(arena, point, 3);
    arena.faults({});
  },
};

const inResolve: Row = {
  name: 'kill-resolve',
  promise: 'a worker killed while it finds out why users stand in FailAccounts',
  arena: { workers: 1 },
  async run(arena) {
    arena.faults({
      rules: [
        {
          match: { command: 'multiaccount_import', userIdPattern: '^hot-[1-5]' },
          action: { failAccounts: true },
        },
      ],
    });
    for (const point of [
      'slot:after:2',
      'post:sent:account_check',
      'post:sent:account_import',
      'settle:before',
      'settle:after',
    ])
      await killAt(arena, point, 3);
    arena.faults({});
  },
};

const inRedrive: Row = {
  name: 'kill-redrive',
  promise: 'dlq redrive killed once its letters are in calls, and workers killed in calls of class redrive',
  arena: { workers: 1, redrives: true },
  async run(arena) {
    await arena.flow.burst(1_500);
    const letters = async (): Promise<boolean> =>
      (await arena.redis.zcard(arena.keys.deadByTime)) >= 2 * BATCH_SIZE;
    await eventually('dead letters', letters, 60_000);
    const verb = arena.redriver('redrive:after', 1);
    await died(arena, verb, 'redrive:after');
    await workAgain(arena, 'dlq redrive killed');
    for (const point of ['slot:after:3', 'settle:after']) {
      await eventually('dead letters', letters, 60_000);
      const victim = arena.victim(point, 1);
      // Until the victim has died of it: the healthy worker may have been quicker.
      for (let i = 0; i < 20 && victim.child.signalCode === null; i++) {
        const { code, stdout, stderr } = await arena.verb(['dlq', 'redrive', '--all', '--json']);
        if (code !== 0) arena.progress(`dlq redrive ended with ${code}: ${stdout}${stderr}`);
      }
      await died(arena, victim, point);
      await workAgain(arena, `killed at ${point}`);
    }
  },
};

const inProbe: Row = {
  name: 'kill-probe',
  promise: 'the worker that probes a hold is killed with the lease in hand, and with the probe on the wire',
  arena: { workers: 1 },
  async run(arena) {
    const held = async (): Promise<boolean> => (await arena.redis.hexists(arena.keys.hold, 'held')) === 1;
    const kinds = [
      { point: 'slot:after:check', action: { errorCode: 60016 } },
      { point: 'post:sent:account_check', action: { errorCode: 70003 } },
      { point: 'post:sent', action: { errorCode: 70169 } },
    ] as const;
    for (const { point, action } of kinds) {
      arena.faults({ rules: [{ action }] });
      await eventually('the hold', held, 60_000);
      // The healthy one leaves it the probe.
      const [healthy] = arena.workers;
      healthy?.signal('SIGSTOP');
      const victim = arena.victim(point, 1);
      await died(arena, victim, point);
      healthy?.signal('SIGCONT');
      arena.faults({});
      const sinceMs = performance.now();
      await eventually('the hold is over', async () => !(await held()), 90_000);
      const ms = performance.now() - sinceMs;
      arena.progress(`prober killed at ${point}: the hold ended ${(ms / 1000).toFixed(1)} s after the fault`);
      arena.took('hold over', ms);
      await workAgain(arena, `prober killed at ${point}`);
    }
  },
};

const inSweep: Row = {
  name: 'kill-sweep',
  promise: 'a worker killed between cut and job, and the one that sweeps up after it killed as well',
  arena: { workers: 1 },
  async run(arena) {
    await died(arena, arena.victim('cut:after', 2), 'cut:after');
    await workAgain(arena, 'killed between cut and job');
    // The healthy one leaves the remains to the second.
    const [healthy] = arena.workers;
    await died(arena, arena.victim('cut:after', 2), 'cut:after');
    healthy?.signal('SIGSTOP');
    await died(arena, arena.victim('sweep:found', 1), 'sweep:found');
    healthy?.signal('SIGCONT');
    await workAgain(arena, 'sweeper killed');
  },
};

const atRandom: Row = {
  name: 'kill-random',
  promise: 'workers killed one by one at random moments, then all at once, again and again',
  arena: { workers: 3, eventsPerSecond: 140 },
  async run(arena) {
    const rounds = arena.brief ? 2 : 10;
    for (let i = 0; i < rounds; i++) {
      await arena.sleep(200 + 2_500 * arena.random());
      const at = Math.floor(arena.random() * arena.workers.length);
      arena.workers[at]?.signal('SIGKILL');
      arena.workers[at] = await arena.worker();
    }
    await workAgain(arena, `${rounds} killed one by one`);
    for (let i = 0; i < (arena.brief ? 1 : 4); i++) {
      await arena.sleep(1_000 + 2_000 * arena.random());
      for (const worker of arena.workers) worker.signal('SIGKILL');
      await Promise.all(arena.workers.map(({ ended }) => ended));
      const sinceMs = performance.now();
      await Promise.all(arena.workers.map(async (_, at) => (arena.workers[at] = await arena.worker())));
      // The promise is about workers that run; how long a machine takes to start some is told beside it.
      arena.took('again', await arena.takenOver(), AGAIN_WITHIN_MS);
      const ms = performance.now() - sinceMs;
      arena.progress(
        `all killed at once: the work ran again after ${(ms / 1000).toFixed(1)} s, start included`,
      );
      arena.took('again, start included', ms);
    }
  },
};

export const killRows: readonly Row[] = [
  alongTheWay,
  inSplit,
  inResolve,
  inRedrive,
  inProbe,
  inSweep,
  atRandom,
];
