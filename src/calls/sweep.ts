import { unaccountedEvents } from '../ledger/check-balance.ts';
import { RECORD_FORMAT } from '../ledger/record.ts';
import { createLoopDeadline, type LoopDeadline } from '../lifecycle/loop-deadline.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';
import type { CallQueues } from './bullmq/queues.ts';

/** A record that has not moved for this long is looked at. */
export const SWEEP_AFTER_MS = 5_000;
const PAGE = 1_000;
/** A dead process may have had two hundred calls in hand, and Redis may be far away. */
const AT_A_TIME = 20;
/** A call may be put off beyond its retry until an earlier one can no longer land. */
const SLACK_MS = 60_000;

/** What a sweep found. */
export interface Swept {
  /** Calls without a job that would ever run them: the job was added anew. */
  readonly putBack: number;
  /** Calls that were due while their job was still put off, by a machine whose clock is wrong: brought forward. */
  readonly overdue: number;
  /** Calls of another version, or of a command that this worker does not make: left alone. */
  readonly foreign: number;
  /**
   * Events that the books count in calls and no open call holds (below 0: the other way round). Anything but 0 is
   * a bug of ours.
   */
  readonly unaccounted: number;
}

/**
 * Sees that every open record has a job that will run it: its process may have died between the cut and the job,
 * the job failed, Redis lost it, or it is put off by a wrong clock. Then proves by the books that no record is
 * missing from the list of open ones. `longestRetryMs`: no call is put off for longer. Harmless at any time and in any number of processes.
 */
export async function sweep(
  redis: RedisClient,
  keys: Keys,
  queues: CallQueues,
  longestRetryMs: number,
): Promise<Swept> {
  await queues.endOldLooks();
  const nowMs = await ownerTimeMs(redis, keys);
  const found = { putBack: 0, overdue: 0, foreign: 0 };
  const see = async (callIds: readonly string[]): Promise<void> => {
    for (let from = 0; from < callIds.length; from += AT_A_TIME) {
      const some = callIds.slice(from, from + AT_A_TIME);
      const ends = await Promise.all(some.map((callId) => seeTo(redis, keys, queues, callId)));
      for (const done of ends) if (done !== 'well') found[done]++;
    }
  };
  // What moved later than now, and is not put off: Redis's clock was set back since, and would come there in hours.
  const fromAhead = Math.ceil(nowMs + longestRetryMs + SLACK_MS);
  await see(await redis.zrangebyscore(keys.open, fromAhead, '+inf', 'LIMIT', 0, PAGE));
  // All of them, however many: what is left alone must not stand in front of what needs help.
  for (let from = 0; ; from += PAGE) {
    const callIds = await redis.zrangebyscore(
      keys.open,
      '-inf',
      Math.floor(nowMs - SWEEP_AFTER_MS),
      'LIMIT',
      from,
      PAGE,
    );
    await see(callIds);
    if (callIds.length < PAGE) break;
  }
  await forgetClosed(redis, keys);
  return { ...found, unaccounted: await unaccountedEvents(redis, keys) };
}

/** A version that does not know the list of open calls by age leaves its calls there when it closes them. */
async function forgetClosed(redis: RedisClient, keys: Keys): Promise<void> {
  for (const callId of await redis.zrange(keys.openSince, '0', String(AT_A_TIME - 1))) {
    if ((await redis.exists(keys.callPrefix + callId)) === 0) await redis.zrem(keys.openSince, callId);
  }
}

async function seeTo(
  redis: RedisClient,
  keys: Keys,
  queues: CallQueues,
  callId: string,
): Promise<'well' | 'putBack' | 'overdue' | 'foreign'> {
  const [format, command] = await redis.hmget(keys.callPrefix + callId, 'v', 'command');
  if (!format) {
    // Closed between the two commands: nothing to work on.
    if ((await redis.exists(keys.callPrefix + callId)) === 0) {
      await redis.zrem(keys.open, callId);
      return 'well';
    }
  }
  if (Number(format) !== RECORD_FORMAT || !queues.knows(command)) return 'foreign';
  switch (await queues.place(command, callId)) {
    case 'coming':
      await queues.endOldLock(command, callId);
      return 'well';
    case 'delayed':
      await queues.bringForward(command, callId);
      return 'overdue';
    case 'nowhere':
      await queues.putBack(command, callId);
      return 'putBack';
  }
}

/** Runs `sweep` now and then until closed. */
export function startSweeper(options: {
  readonly sweepOnce: () => Promise<Swept>;
  readonly everyMs: number;
  readonly onSwept: (swept: Swept) => void;
  readonly onTrouble: (error: Error) => void;
}): { close(): Promise<void>; readonly deadline: LoopDeadline } {
  const deadline = createLoopDeadline();
  let timer: NodeJS.Timeout | undefined;
  let closing = false;
  let running: Promise<void> = Promise.resolve();
  const turn = async (): Promise<void> => {
    deadline.turn();
    try {
      options.onSwept(await options.sweepOnce());
    } catch (error) {
      if (!closing) options.onTrouble(error as Error);
    }
    if (!closing) schedule();
  };
  const schedule = (): void => {
    deadline.rest(options.everyMs);
    timer = setTimeout(() => {
      running = turn();
    }, options.everyMs);
  };
  schedule();
  return {
    deadline,
    async close() {
      closing = true;
      clearTimeout(timer);
      await running;
    },
  };
}
