import { RECORD_FORMAT } from '../ledger/record.ts';
import { unaccountedEvents } from '../ledger/totals.ts';
import { type Loop, startEvery } from '../lifecycle/loop.ts';
import type { AppRedis } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';
import type { CallQueues } from './bullmq/queues.ts';

/** A record that has not moved for this long is checked. */
export const SWEEP_AFTER_MS = 5_000;
const SWEEP_EVERY_MS = 5_000;
const PAGE = 1_000;
/** Calls checked at a time: a dead process may have left 200 local calls, and Redis may be far away. */
const AT_A_TIME = 20;
/** A call may be delayed beyond its retry until an earlier one can no longer take effect. */
const SLACK_MS = 60_000;

export interface Swept {
  /** Redis's clock at this sweep, ms since 1970. */
  readonly atMs: number;
  /** Calls without a job that would ever run them. The job was added again. */
  readonly putBack: number;
  /** Due calls whose job was still delayed, by a machine with a wrong clock. The job was made due. */
  readonly overdue: number;
  /** Calls of another version, or of a command that this worker does not make. They were left alone. */
  readonly foreign: number;
  /** Events in calls by the totals, less those of the open calls. Anything but 0 is a bug of ours. */
  readonly unaccounted: number;
}

/**
 * Makes sure that every open record has a job that will run it. Its process may have died between the cut and
 * the job; or the job failed, Redis lost it, or a wrong clock delayed it. Then proves by the totals that no
 * record is missing from the list of open ones. Harmless at any time and in any number of processes.
 * `longestRetryMs`: the longest delay of a call. `before`: what this process's last sweep found.
 */
export async function sweep(
  app: AppRedis,
  queues: CallQueues,
  longestRetryMs: number,
  before?: Swept,
): Promise<Swept> {
  const { redis, keys } = app;
  const nowMs = await ownerTimeMs(redis, keys);
  // Once a process, and when Redis's clock was set back: an idle worker has few commands to spend.
  const wasSetBack = nowMs < (before?.atMs ?? Number.POSITIVE_INFINITY);
  if (wasSetBack) await queues.repairStalledCheckTtl();
  const found = { putBack: 0, overdue: 0, foreign: 0 };
  const checkAll = async (callIds: readonly string[]): Promise<void> => {
    for (let from = 0; from < callIds.length; from += AT_A_TIME) {
      const some = callIds.slice(from, from + AT_A_TIME);
      const ends = await Promise.all(some.map((callId) => ensureJob(app, queues, callId)));
      for (const done of ends) if (done !== 'well') found[done]++;
    }
  };
  // Records that moved in the future and are not delayed: Redis's clock was set back since.
  const fromAhead = Math.ceil(nowMs + longestRetryMs + SLACK_MS);
  await checkAll(await redis.zrangebyscore(keys.open, fromAhead, '+inf', 'LIMIT', 0, PAGE));
  const untilMs = Math.floor(nowMs - SWEEP_AFTER_MS);
  // Page by page to the end: calls that are left alone must not hide those that need a job.
  for (let from = 0, size = PAGE; size === PAGE; from += PAGE) {
    const callIds = await redis.zrangebyscore(keys.open, '-inf', untilMs, 'LIMIT', from, PAGE);
    await checkAll(callIds);
    size = callIds.length;
  }
  if (before === undefined) await forgetClosed(app);
  return { ...found, atMs: nowMs, unaccounted: await unaccountedEvents(redis, keys) };
}

/** Sweeps every 5 s and tells what each sweep found. */
export function startSweeping(
  app: AppRedis,
  queues: CallQueues,
  longestRetryMs: number,
  tell: (swept: Swept) => void,
  onTrouble: (error: Error) => void,
): Loop {
  let before: Swept | undefined;
  const turn = async (): Promise<void> => {
    before = await sweep(app, queues, longestRetryMs, before);
    tell(before);
  };
  return startEvery(SWEEP_EVERY_MS, turn, onTrouble);
}

/** Removes closed calls that a version without the list of open calls by age has left in it. */
async function forgetClosed({ redis, keys }: AppRedis): Promise<void> {
  for (const callId of await redis.zrange(keys.openSince, '0', String(AT_A_TIME - 1))) {
    if ((await redis.exists(keys.callPrefix + callId)) === 0) await redis.zrem(keys.openSince, callId);
  }
}

/** Makes sure that one call has a job, and answers what was done. */
async function ensureJob(
  { redis, keys }: AppRedis,
  queues: CallQueues,
  callId: string,
): Promise<'well' | 'putBack' | 'overdue' | 'foreign'> {
  const record = keys.callPrefix + callId;
  const [format, command] = await redis.hmget(record, 'v', 'command');
  if (!format && (await redis.exists(record)) === 0) {
    // The call was closed since the list was read.
    await redis.zrem(keys.open, callId);
    return 'well';
  }
  if (Number(format) !== RECORD_FORMAT || !queues.knows(command)) return 'foreign';
  switch (await queues.place(command, callId)) {
    case 'coming':
      await queues.repairLockTtl(command, callId);
      return 'well';
    case 'delayed':
      await queues.bringForward(command, callId);
      return 'overdue';
    case 'nowhere':
      await queues.putBack(command, callId);
      return 'putBack';
  }
}
