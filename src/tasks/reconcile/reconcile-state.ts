import type { AppRedis } from '../../redis/keys.ts';

/** How many users of the table are in which state. `rows` is the sum of the states. */
export interface ReconcileCounts {
  readonly rows: number;
  readonly imported: number;
  /** In a call at the second look. */
  readonly underWay: number;
  readonly dead: number;
  /** Without an account, a dead letter or a call, at both looks. */
  readonly missing: number;
  /** The API does not say. */
  readonly unasked: number;
  /** Rows that can be no events. */
  readonly rejected: number;
  readonly enqueued: number;
}

export const NO_COUNTS: ReconcileCounts = {
  ...{ rows: 0, imported: 0, underWay: 0, dead: 0, missing: 0, unasked: 0, rejected: 0, enqueued: 0 },
};

/** A run that goes on or was broken off. */
export interface OpenRun {
  /** Identifies the query: another one begins from the start. */
  readonly identity: string;
  /** ms since 1970, as all times here, on this machine's clock. */
  readonly startedAt: number;
  /** Up to this key all is counted; undefined at the beginning. */
  readonly key?: string | undefined;
  readonly counts: ReconcileCounts;
}

/** The last run that came to its end. */
export interface LastRun {
  /** Identifies its query. A version before this one did not write it. */
  readonly identity?: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly counts: ReconcileCounts;
}

/** When the next run of a schedule is to begin. In the past: it is under way, or late. */
export interface DueRun {
  /** Identifies query and schedule. */
  readonly identity: string;
  readonly at: number;
}

export interface ReconcileState {
  readonly open: OpenRun | null;
  readonly last: LastRun | null;
  /** Null where nothing is repeated, or nobody has repeated it for long. */
  readonly due: DueRun | null;
}

/** A schedule that is late by so much has been given up. */
const GIVEN_UP_MS = 14 * 86_400_000;

export async function readReconcile({ redis, keys }: AppRedis, nowMs = Date.now()): Promise<ReconcileState> {
  const [open, last, due] = await redis.hmget(keys.reconcile, 'open', 'last', 'due');
  const run = due ? (JSON.parse(due) as DueRun) : null;
  return {
    open: open ? (JSON.parse(open) as OpenRun) : null,
    last: last ? (JSON.parse(last) as LastRun) : null,
    due: run !== null && nowMs - run.at < GIVEN_UP_MS ? run : null,
  };
}

export async function saveDue({ redis, keys }: AppRedis, due: DueRun): Promise<void> {
  await redis.hset(keys.reconcile, 'due', JSON.stringify(due));
}

export async function saveRun({ redis, keys }: AppRedis, run: OpenRun): Promise<void> {
  await redis.hset(keys.reconcile, 'open', JSON.stringify(run));
}

export async function endRun({ redis, keys }: AppRedis, last: LastRun): Promise<void> {
  await redis.multi().hset(keys.reconcile, 'last', JSON.stringify(last)).hdel(keys.reconcile, 'open').exec();
}
