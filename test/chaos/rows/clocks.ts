import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../support/eventually.ts';
import { parseMetrics } from '../../support/metrics.ts';
import type { ImsyncProcess } from '../../support/process.ts';
import { cannotShift, type ShiftedRedis, startShiftedRedis } from '../../support/shifted-redis.ts';
import { type Arena, QUOTA } from '../arena.ts';
import type { Row } from '../row.ts';

/** A worker whose machine has the wrong time, beside one whose machine has the right one. */

const MINUTE = 60_000;
const APART = "this machine's clock and that of Redis are apart";
const hook = fileURLToPath(new URL('../shift-clock.js', import.meta.url));
const departuresHook = fileURLToPath(new URL('../departures.js', import.meta.url));

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

const HOUR_MS = 60 * MINUTE;

const workerSteps: Row = {
  name: 'clock-worker-steps',
  promise:
    "NTP sets one worker's clock an hour forward, then an hour back, while it works: calls go on, ages stay sane, nothing is held; killed, its work runs again within 15 s",
  arena: { workers: 1, eventsPerSecond: 100 },
  async run(arena) {
    const folder = await mkdtemp(join(tmpdir(), 'imsync-clock-'));
    arena.atEnd(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'clock');
    // At once, so that no look finds an empty file.
    const set = async (ms: number): Promise<void> => {
      await writeFile(`${file}.new`, String(ms));
      await rename(`${file}.new`, file);
    };
    await set(0);
    const stepped = await arena.worker({ NODE_OPTIONS: `--import=${hook}`, CHAOS_CLOCK_FILE: file });
    const calls = (): number => stepped.lines.filter((line) => line.includes('"callId"')).length;
    const goesOn = async (when: string): Promise<void> => {
      const had = calls();
      const sinceMs = performance.now();
      await eventually(`it makes calls ${when}`, () => calls() >= had + 5);
      arena.took('goes on', performance.now() - sinceMs);
    };
    await goesOn('before');
    await set(HOUR_MS);
    await goesOn('an hour ahead');
    await stepped.line(`${APART}: set both by NTP, or UserSigs made here may be refused`);
    arena.workers.push(stepped);
    await agesAreSane(arena);
    await set(0);
    await goesOn('set back');
    await stepped.line("this machine's clock and that of Redis agree again");
    await agesAreSane(arena);
    const metrics = await metricsOf(stepped);
    const count = metrics.value('imsync_event_latency_seconds_count') ?? 0;
    const mean = (metrics.value('imsync_event_latency_seconds_sum') ?? 0) / Math.max(1, count);
    if (mean < 0 || mean > 30) arena.problem(`events are said to take ${mean.toFixed(0)} s on average`);
    await set(HOUR_MS);
    await goesOn('ahead once more');
    arena.workers.pop();
    stepped.signal('SIGKILL');
    await stepped.ended;
    arena.took('again', await arena.takenOver(), 15_000);
    const held = Number((await arena.redis.hget(arena.keys.hold, 'heldMs')) ?? 0);
    if (held > 0) arena.problem(`calls were held for ${held} ms`);
  },
};

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

/**
 * The most calls of the batch command that left within a second. By the senders' own stamps: the receiver shares its
 * process with the audits, and where that is held up, one call looks like the next.
 */
function mostInSecond(departures: string): number {
  const atMs = departures
    .split('\n')
    .filter((line) => line.endsWith(' multiaccount_import'))
    .map(Number.parseFloat)
    .sort((a, b) => a - b);
  let [most, first] = [0, 0];
  for (const [last, ms] of atMs.entries()) {
    while (ms - (atMs[first] as number) >= 1_000) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

const HOUR_S = 3_600;
/** Calls start again this long after Redis's clock was set. */
const AFTER_STEP_MS = 5_000;
let shiftedRedis: ShiftedRedis | undefined;
let departures = '';

/** Ages that are told, after a step. */
async function agesAreSane(arena: Arena): Promise<void> {
  const { stdout } = await arena.verb(['status', '--json']);
  const status = JSON.parse(stdout) as {
    workers: unknown[];
    intake: { oldestAgeMs: number | null };
    deadLetters: { oldestAgeMs: number | null };
    calls: Record<string, { startedLastSecond: number; rate: number }>;
  };
  if (status.workers.length !== arena.workers.length)
    arena.problem(`status tells of ${status.workers.length} workers, ${arena.workers.length} run`);
  for (const { oldestAgeMs } of [status.intake, status.deadLetters])
    if ((oldestAgeMs ?? 0) < 0) arena.problem(`status tells an age of ${oldestAgeMs} ms`);
  const { startedLastSecond = 0 } = status.calls.multiaccount_import ?? {};
  if (startedLastSecond > QUOTA)
    arena.problem(`status tells of ${startedLastSecond} calls in the last second`);
  for (const worker of arena.workers) {
    const metrics = await metricsOf(worker);
    for (const name of ['imsync_oldest_waiting_seconds', 'imsync_event_latency_seconds_sum'])
      if ((metrics.value(name) ?? 0) < 0) arena.problem(`${name} is below 0`);
  }
}

const redisSteps: Row = {
  name: 'clock-redis',
  promise:
    "Redis's clock steps back an hour, then forward an hour twice: calls go on within 5 s, quota, ages and signatures stay sane, a killed worker's work runs again within 15 s",
  cannotRun: cannotShift,
  arena: {
    workers: 2,
    eventsPerSecond: 210,
    store: async () => {
      const server = await startShiftedRedis();
      shiftedRedis = server;
      const folder = await mkdtemp(join(tmpdir(), 'imsync-departures-'));
      departures = join(folder, 'departures');
      return {
        settings: server.settings,
        env: { ...server.env, NODE_OPTIONS: `--import=${departuresHook}`, CHAOS_DEPARTURES: departures },
        async stop() {
          await server.stop();
          await rm(folder, { recursive: true, force: true });
        },
      };
    },
  },
  async run(arena) {
    await arena.fullRate(Date.now());
    for (const hours of arena.brief ? [-1] : [-1, 0, 1]) {
      const where = `${hours < 0 ? 'back' : 'forward'} to ${hours} h`;
      const steppedAtMs = Date.now();
      await shiftedRedis?.shift(hours * HOUR_S);
      // What had its slot before goes out within the lead; what comes after half a second was granted since.
      const call = await eventually(
        'a call is made',
        () => arena.simulator.calls().find(({ arrivedAtMs }) => arrivedAtMs >= steppedAtMs + 500),
        60_000,
      );
      arena.took('again', call.arrivedAtMs - steppedAtMs, AFTER_STEP_MS);
      await arena.flow.burst(800);
      const full = (await arena.fullRate(steppedAtMs + 500)) + 500;
      arena.progress(`clock ${where}: full rate after ${(full / 1_000).toFixed(1)} s`);
      arena.took('full rate', full);
      await eventually('workers were seen since', async () => {
        const { stdout } = await arena.verb(['status', '--json']);
        return (JSON.parse(stdout) as { workers: unknown[] }).workers.length === arena.workers.length;
      });
      await agesAreSane(arena);
      const victim = arena.workers.shift();
      victim?.signal('SIGKILL');
      await victim?.ended;
      const killed = await arena.takenOver();
      arena.progress(
        `clock ${where}: a killed worker's work ran again after ${(killed / 1_000).toFixed(1)} s`,
      );
      arena.took('killed, again', killed, 15_000);
      arena.workers.push(await arena.worker());
    }
    const most = mostInSecond(await readFile(departures, 'utf8'));
    arena.note(`at most ${most} calls left in a second`);
    // Fewer would mean that not all were seen.
    if (most < QUOTA - 1 || most > QUOTA)
      arena.problem(`${most} calls left in a second, ${QUOTA} are the quota`);
    const { byErrorCode = {} } = arena.simulator.report().commands.multiaccount_import ?? {};
    if ((byErrorCode['70001'] ?? 0) + (byErrorCode['70003'] ?? 0) > 0) arena.problem('a UserSig was refused');
    const held = Number((await arena.redis.hget(arena.keys.hold, 'heldMs')) ?? 0);
    if (held > 0) arena.problem(`calls were held for ${held} ms`);
  },
};

export const clockRows: readonly Row[] = [
  offBy('clock-ahead', 10 * MINUTE, '10 minutes ahead'),
  offBy('clock-behind', -10 * MINUTE, '10 minutes behind'),
  workerSteps,
  sigExpired,
  redisSteps,
];
