import { eventually } from '../../support/eventually.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** A worker that is stopped for 20 s (a suspended machine, a stalled container) and goes on as if nothing had been. */

const FROZEN_MS = 20_000;

async function freeze(arena: Arena, point: string): Promise<void> {
  const passing = 2 + Math.floor(arena.random() * 4);
  arena.flow.rate(80);
  const victim = arena.victim(point, passing, 'SIGSTOP');
  await eventually(
    `a worker stops at ${point}`,
    () => victim.stderr().includes(`chaos: at ${point}`),
    60_000,
  );
  const frozenAtMs = performance.now();
  const again = await arena.takenOver();
  arena.took('again', again, 15_000);
  // Quiet before it wakes, so that a call that arrives then can only be its own.
  arena.flow.rate(0);
  await eventually(
    'all others are done',
    async () => (await arena.redis.zcard(arena.keys.open)) === 0,
    60_000,
  );
  await arena.sleep(Math.max(0, FROZEN_MS - (performance.now() - frozenAtMs)));
  const before = arena.simulator.calls().length;
  const repeated = repeats(arena, (await arena.redis.hget(arena.keys.books, 'imported')) ?? '0');
  victim.signal('SIGCONT');
  await arena.sleep(5_000);
  const late = arena.simulator.calls().slice(before);
  if (late.length > 0)
    arena.problem(
      `woken at ${point}, it made ${late.length} late calls: ${JSON.stringify(late.slice(0, 3))}`,
    );
  const repeatedLater = repeats(arena, (await arena.redis.hget(arena.keys.books, 'imported')) ?? '0');
  if (repeatedLater !== repeated)
    arena.problem(`woken at ${point}: ${repeated} repeats in the books before, ${repeatedLater} after`);
  arena.progress(`frozen at ${point}, passing ${passing}: no call when it woke, ${repeated} repeats so far`);
  // It is as good as any other from here on.
  arena.flow.rate(80);
  const own = (): number => victim.lines.filter((line) => line.includes('"callId"')).length;
  const had = own();
  await eventually('the woken worker works', () => own() > had, 60_000);
  victim.signal('SIGTERM');
  if ((await victim.ended) !== 0) arena.problem(`the woken worker did not end with 0`);
}

function repeats({ simulator }: Arena, imported: string): number {
  let imports = 0;
  for (const account of simulator.accounts.values()) imports += account.imports;
  return imports - Number(imported);
}

const rowOf = (name: string, point: string, promise: string): Row => ({
  name,
  promise,
  arena: { workers: 1 },
  run: (arena) => freeze(arena, point),
});

export const frozenRows: readonly Row[] = [
  rowOf(
    'frozen-slot',
    'slot:after:0',
    'a worker frozen for 20 s with a slot in hand: no late call when it wakes',
  ),
  rowOf(
    'frozen-wire',
    'post:sent:multiaccount_import',
    'frozen for 20 s with a call on the wire: its answer, read late, changes nothing',
  ),
  rowOf(
    'frozen-answer',
    'settle:before',
    'frozen for 20 s with an answer in hand: it settles nothing that another one settled',
  ),
  rowOf('frozen-claim', 'claim:after', 'frozen for 20 s with a record in hand: it makes no call of it'),
  rowOf('frozen-cut', 'cut:after', 'frozen for 20 s between cut and job: the sweep adds the job, once'),
];
