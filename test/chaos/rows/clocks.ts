import { fileURLToPath } from 'node:url';
import { eventually } from '../../support/eventually.ts';
import { parseMetrics } from '../../support/metrics.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import type { Arena } from '../arena.ts';
import type { Row } from '../row.ts';

/** A worker whose machine has the wrong time, beside one whose machine has the right one. */

const MINUTE = 60_000;
const APART = "this machine's clock and that of Redis are apart";
const hook = fileURLToPath(new URL('../shift-clock.js', import.meta.url));

const shifted = (arena: Arena, byMs: number): Promise<ImsyncProcess> =>
  arena.worker({ NODE_OPTIONS: `--import=${hook}`, CHAOS_CLOCK_MS: String(byMs) });

async function metricsOf(worker: ImsyncProcess) {
  const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
  return parseMetrics(await (await fetch(`${url}/metrics`)).text());
}

function offBy(name: string, byMs: number, words: string): Row {
  return {
    name,
    promise: `a worker's clock is ${words}: ages, retries and the quota stay sane; killed, its retries run again within 15 s`,
    arena: { workers: 1, eventsPerSecond: 100 },
    async run(arena) {
      for (let i = 0; i < (arena.brief ? 1 : 3); i++) {
        const off = await shifted(arena, byMs);
        await eventually('it says so', () => off.lines.some((line) => line.includes(APART)), 30_000);
        await arena.sleep(6_000);
        const metrics = await metricsOf(off);
        const count = metrics.value('imsync_event_latency_seconds_count') ?? 0;
        const mean = (metrics.value('imsync_event_latency_seconds_sum') ?? 0) / Math.max(1, count);
        if (count === 0) arena.problem('the worker with the wrong clock did nothing');
        if (mean > 30) arena.problem(`events are said to take ${mean.toFixed(0)} s on average`);
        const { stdout } = await arena.verb(['status', '--json']);
        const status = JSON.parse(stdout) as { workers: unknown[]; intake: { oldestAgeMs: number | null } };
        if (status.workers.length < 2) arena.problem('a worker with a wrong clock is not seen in status');
        if ((status.intake.oldestAgeMs ?? 0) > MINUTE) arena.problem('status tells an age of minutes');
        off.signal('SIGKILL');
        await off.ended;
        const again = await arena.takenOver();
        arena.progress(
          `killed with its clock ${words}: its work ran again after ${(again / 1000).toFixed(1)} s`,
        );
        arena.took('again', again, 15_000);
      }
    },
  };
}

const sigExpired: Row = {
  name: 'clock-usersig',
  promise:
    "a worker's clock is 10 days behind, so that every UserSig it makes has expired: nobody is held for it, and it says so",
  arena: { workers: 1 },
  async run(arena) {
    const off = await shifted(arena, -10 * 24 * 60 * MINUTE);
    await eventually('it says so', () => off.lines.some((line) => line.includes(APART)), 30_000);
    await arena.sleep(10_000);
    const held = Number((await arena.redis.hget(arena.keys.hold, 'heldMs')) ?? 0);
    arena.note(`all calls were held for ${(held / 1000).toFixed(1)} s`);
    if (held > 2_000) arena.problem(`one worker with a wrong clock held all others for ${held} ms`);
    const refused = arena.simulator.report().commands.multiaccount_import?.byErrorCode['70001'] ?? 0;
    if (refused === 0) arena.problem('no UserSig was refused: the row proves nothing');
    const made = off.lines.filter((line) => line.includes('call made'));
    if (made.length === 0) arena.problem('the worker with the wrong clock made no call that succeeded');
  },
};

export const clockRows: readonly Row[] = [
  offBy('clock-ahead', 10 * MINUTE, '10 minutes ahead'),
  offBy('clock-behind', -10 * MINUTE, '10 minutes behind'),
  sigExpired,
];
