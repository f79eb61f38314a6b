import { eventually } from '../../support/eventually.ts';
import type { Arena } from '../arena.ts';
import { playInterleavings } from '../interleavings.ts';
import type { Row } from '../row.ts';

/** Promise 3, as a model of a thousand interleavings and with real processes. */

const model: Row = {
  name: 'order-model',
  promise:
    '1,000 random interleavings on the real scripts: no profile goes back, the books balance at every step',
  arena: { workers: 0, eventsPerSecond: 0 },
  async run(arena) {
    let played = 0;
    const seed = Math.floor(arena.random() * 0x7fff_ffff);
    // On a database beside the arena's own: it is emptied for each.
    const beside = arena.connect(1);
    const onPlayed = (): void => {
      if (++played % 100 === 0) arena.progress(`${played} played`);
    };
    for (const [form, runs] of [
      ['current', 700],
      ['legacy', 300],
    ] as const) {
      const options = { runs: arena.brief ? runs / 20 : runs, seed, form, onPlayed };
      await playInterleavings(beside, arena.keys, options).catch((error: Error) =>
        arena.problem(`${form}: ${error.message}`),
      );
    }
    arena.note(`${played} interleavings, seed ${seed}`);
  },
};

const processes: Row = {
  name: 'order-processes',
  promise:
    'shared users, slow calls that overtake, kills, FailAccounts and redrives all at once: every profile is the newest',
  arena: { workers: 3, eventsPerSecond: 120, redrives: true },
  async run(arena) {
    arena.faults({
      rules: [
        { match: { rate: 0.15 }, action: { latencyMs: [1_000, 2_800] } },
        { match: { rate: 0.03 }, action: { reset: 'after' } },
        { match: { rate: 0.02 }, action: { hangMs: -1 } },
        {
          match: { command: 'multiaccount_import', userIdPattern: '^hot-[12]' },
          action: { failAccounts: true },
        },
      ],
    });
    for (let i = 0; i < (arena.brief ? 2 : 8); i++) {
      await arena.sleep(500 + 2_500 * arena.random());
      const at = Math.floor(arena.random() * arena.workers.length);
      arena.workers[at]?.signal('SIGKILL');
      arena.workers[at] = await arena.worker();
      if (i % 2 === 0) await redrive(arena);
    }
    await eventually(
      'letters to redrive',
      async () => (await arena.redis.zcard(arena.keys.deadByTime)) > 0,
      60_000,
    );
    await redrive(arena);
    arena.faults({});
  },
};

async function redrive(arena: Arena): Promise<void> {
  const { code, stderr } = await arena.verb(['dlq', 'redrive', '--all', '--json']);
  if (code !== 0) arena.note(`dlq redrive ended with ${code}: ${stderr.trim()}`);
}

export const orderRows: readonly Row[] = [model, processes];
