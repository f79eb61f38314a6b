import { eventually } from '../../support/eventually.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** `kill -9`, at random moments and at every point that has a name. */

/** A killed worker's work runs again within this (promise 5). */
const AGAIN_WITHIN_MS = 15_000;

/** Waits until a victim reached its point and died. */
async function died(arena: Arena, victim: ReturnType<Arena['victim']>, point: string): Promise<void> {
  await eventually(`a worker reaches ${point}`, () => victim.child.signalCode === 'SIGKILL', 60_000);
  if (!victim.stderr().includes(`chaos: at ${point}`)) arena.problem(`the worker did not die at ${point}`);
}

async function killAt(arena: Arena, point: string): Promise<void> {
  const passing = 1 + Math.floor(arena.random() * 6);
  const victim = arena.victim(point, passing);
  await died(arena, victim, point);
  const ms = await arena.takenOver();
  arena.progress(
    `killed at ${point}, passing ${passing}: its work ran again after ${(ms / 1000).toFixed(1)} s`,
  );
  arena.took('again', ms, AGAIN_WITHIN_MS);
}

const points = [
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

const alongWay: Row = {
  name: 'kill-points',
  promise:
    'a worker killed at every step of a call, from cut to end: 0 lost, its work runs again within 15 s',
  short: true,
  arena: { workers: 1 },
  async run(arena) {
    const chosen = arena.brief ? ['cut:after', 'post:sent:multiaccount_import', 'settle:after'] : points;
    for (const point of chosen) await killAt(arena, point);
  },
};

export const killRows: readonly Row[] = [alongWay];
