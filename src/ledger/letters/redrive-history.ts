import type { AppRedis } from '../../redis/keys.ts';
import { ownerTimeMs } from '../../redis/owner.ts';
import type { LetterFilter } from './dead-letters.ts';

/** Which letters somebody wanted redriven. Names no user: the history outlives a user's being forgotten. */
export interface RedriveFilter
  extends Pick<LetterFilter, 'errorCode' | 'reason' | 'olderThanMs' | 'newerThanMs' | 'limit'> {
  /** One user was named. */
  readonly user?: true;
  /** Letters named by event ID. */
  readonly eventIds?: number;
  /** A file named them. */
  readonly file?: true;
}

/** One redrive by somebody. Times in ms since 1970, Redis's clock. */
export interface RedriveRun {
  readonly id: string;
  /** User and machine, as the machine names them; after the name that was given, if one was. */
  readonly by: string;
  readonly filter: RedriveFilter;
  readonly rate: number | null;
  readonly force: boolean;
  /** Letters that died later are not part of it, so that it never meets its own failures. */
  readonly asOf: number;
  readonly startedAt: number;
  /** Its last sign of life. */
  readonly seenAt: number;
  readonly endedAt: number | null;
  /**
   * - `running`; `done`: all letters are in calls, or were left with a reason.
   * - `interrupted`: by somebody, or its process was killed. `stopped`: by itself, see `why`.
   */
  readonly state: 'running' | 'done' | 'interrupted' | 'stopped';
  readonly why: string | null;
  readonly letters: number;
  readonly users: number;
  readonly calls: number;
  /** Users known to be imported, and dead once more, by then or at its end. */
  readonly imported: number;
  readonly failed: number;
}

/** Runs that are remembered. */
const KEPT = 100;
/** A run that lives says so at least this often. */
export const SIGN_EVERY_MS = 2_000;
/** Without a sign for so long its process is gone. */
const SILENT_MS = 15_000;

/** What a run begins with. */
export type BegunRun = Pick<RedriveRun, 'by' | 'filter' | 'rate' | 'force' | 'asOf'>;

/** A run that is written nowhere: for a dry run. */
export function plannedRun(begun: BegunRun): RedriveRun {
  return {
    id: '',
    ...begun,
    startedAt: 0,
    seenAt: 0,
    endedAt: null,
    state: 'running',
    why: null,
    ...{ letters: 0, users: 0, calls: 0, imported: 0, failed: 0 },
  };
}

export async function beginRun({ redis, keys }: AppRedis, begun: BegunRun): Promise<RedriveRun> {
  const nowMs = Math.floor(await ownerTimeMs(redis, keys));
  const number = await redis.hincrby(keys.redrives, 'last', 1);
  const run = { ...plannedRun(begun), id: `r${number}`, startedAt: nowMs, seenAt: nowMs };
  await redis.hset(keys.redrives, run.id, JSON.stringify(run));
  await redis.hdel(keys.redrives, `r${number - KEPT}`);
  return run;
}

/** Writes what became of it; answers it as written. */
export async function noteRun({ redis, keys }: AppRedis, run: RedriveRun): Promise<RedriveRun> {
  const nowMs = Math.floor(await ownerTimeMs(redis, keys));
  const seen = { ...run, seenAt: nowMs, endedAt: run.state === 'running' ? null : nowMs };
  await redis.hset(keys.redrives, run.id, JSON.stringify(seen));
  return seen;
}

/** Newest first. A run whose process is gone reads as interrupted. */
export async function listRuns({ redis, keys }: AppRedis): Promise<RedriveRun[]> {
  const nowMs = await ownerTimeMs(redis, keys);
  const { last: _last, ...runs } = await redis.hgetall(keys.redrives);
  return Object.values(runs)
    .map((text) => asItIs(JSON.parse(text) as RedriveRun, nowMs))
    .sort((a, b) => Number(b.id.slice(1)) - Number(a.id.slice(1)));
}

function asItIs(run: RedriveRun, nowMs: number): RedriveRun {
  if (run.state !== 'running' || nowMs - run.seenAt < SILENT_MS) return run;
  return { ...run, state: 'interrupted', why: 'its process ended without a word' };
}

const STOP_SECONDS = 600;

/** Asks the process that redrives to stop, wherever it runs. It hears of it with its next sign. */
export async function requestStop({ redis, keys }: AppRedis, id: string, by: string): Promise<void> {
  await redis.hset(keys.redriveStops, id, by);
  await redis.expire(keys.redriveStops, STOP_SECONDS);
}

/** Who asked for this redrive to stop; null when nobody did. */
export async function stopRequested({ redis, keys }: AppRedis, id: string): Promise<string | null> {
  return redis.hget(keys.redriveStops, id);
}

export async function forgetStop({ redis, keys }: AppRedis, id: string): Promise<void> {
  await redis.hdel(keys.redriveStops, id);
}
