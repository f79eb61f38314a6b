import type { CallQueues } from '../calls/queues.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { createPulse, type Pulse } from '../pace/pulse.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { ownerTimeMs } from '../redis/owner.ts';

/** A record that has not moved for this long is looked at. */
export const SWEEP_AFTER_MS = 5_000;
const PAGE = 1_000;

/**
 * Adds the job of every open record that has none: its process died between the cut and the job, the job failed,
 * or Redis lost it. Answers how many there were. Harmless at any time and in any number of processes.
 */
export async function sweep(redis: RedisClient, keys: Keys, queues: CallQueues): Promise<number> {
  const nowMs = await ownerTimeMs(redis, keys);
  const callIds = await redis.zrangebyscore(
    keys.open,
    '-inf',
    Math.floor(nowMs - SWEEP_AFTER_MS),
    'LIMIT',
    0,
    PAGE,
  );
  let added = 0;
  for (const callId of callIds) {
    const command = (await redis.hget(keys.callPrefix + callId, 'command')) as ImportCommand | null;
    if (command === null) {
      // Closed between the two commands, or half of it lost with Redis's last second: nothing to work on.
      if ((await redis.exists(keys.callPrefix + callId)) === 0) await redis.zrem(keys.open, callId);
      continue;
    }
    if (await queues.has(command, callId)) continue;
    await queues.add(command, [callId]);
    added++;
  }
  return added;
}

/** Runs `sweep` now and then until closed. */
export function startSweeper(options: {
  readonly sweepOnce: () => Promise<number>;
  readonly everyMs: number;
  readonly onFound: (added: number) => void;
  readonly onTrouble: (error: Error) => void;
}): { close(): Promise<void>; readonly pulse: Pulse } {
  const pulse = createPulse();
  let timer: NodeJS.Timeout | undefined;
  let closing = false;
  let running: Promise<void> = Promise.resolve();
  const turn = async (): Promise<void> => {
    pulse.turn();
    try {
      const added = await options.sweepOnce();
      if (added > 0) options.onFound(added);
    } catch (error) {
      if (!closing) options.onTrouble(error as Error);
    }
    if (!closing) schedule();
  };
  const schedule = (): void => {
    pulse.rest(options.everyMs);
    timer = setTimeout(() => {
      running = turn();
    }, options.everyMs);
  };
  schedule();
  return {
    pulse,
    async close() {
      closing = true;
      clearTimeout(timer);
      await running;
    },
  };
}
