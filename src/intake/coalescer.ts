import { performance } from 'node:perf_hooks';
import { createPulse, type Pulse } from '../pace/pulse.ts';
import type { RedisClient } from '../redis/connect.ts';
import type { Keys } from '../redis/keys.ts';
import { type CutCall, type CutLimits, cutCalls } from './cut.ts';
import { createArrivalRate, nextLookMs } from './linger.ts';

/**
 * The loop that turns waiting events into calls. Every process runs one; the script decides, so that it does
 * not matter which of them asks. An idle one blocks on the stream and polls nothing.
 */
function usersOf(calls: readonly CutCall[]): number {
  return calls.reduce((sum, { users }) => sum + users, 0);
}

export interface Coalescer {
  /** Something came back to the intake, or room for calls came free: look now. */
  nudge(): void;
  /** Stops after the cut at hand has been handed over. */
  close(): Promise<void>;
  /** Never idle: it looks now and then whatever happens. */
  readonly pulse: Pulse;
}

/** An idle loop turns this often all the same, for what only another process heard of. */
const IDLE_TURN_MS = 5_000;
/** Blocked by open calls: there are two seconds of them, so a look now and then is soon enough. */
const BLOCKED_LOOK_MS = 50;
/** Held or paused: the change wakes the loop; this is for the case that it was not heard. */
const STOPPED_LOOK_MS = 1_000;
const TROUBLE_WAIT_MS = 500;

export function startCoalescer(options: {
  readonly redis: RedisClient;
  /** A connection of its own: it blocks. Closed by this loop's `close`. */
  readonly blocking: RedisClient;
  readonly keys: Keys;
  readonly limits: CutLimits;
  readonly processId: string;
  /** Makes jobs of the calls. Rejects when Redis fails; the sweep makes up for it. */
  readonly handOver: (calls: readonly CutCall[]) => Promise<void>;
  readonly onTrouble: (error: Error) => void;
}): Coalescer {
  const { redis, blocking, keys, limits, processId, handOver, onTrouble } = options;
  const rate = createArrivalRate();
  let closing = false;
  let nudged = false;
  let wake: (() => void) | undefined;
  let reading: Promise<void> | undefined;
  const pulse = createPulse();

  /** Rests for `ms`, until nudged, or until `other` is done. */
  const rest = async (ms: number, other?: Promise<void>): Promise<void> => {
    if (nudged || closing) {
      nudged = false;
      return;
    }
    pulse.rest(ms);
    let timer: NodeJS.Timeout | undefined;
    const alone = new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    await (other === undefined ? alone : Promise.race([alone, other]));
    clearTimeout(timer);
    wake = undefined;
    nudged = false;
  };

  /** Resolves when the stream holds anything. Entries leave it when they are cut, so it is read from its start. */
  const somethingWaits = (): Promise<void> => {
    reading ??= blocking
      .xread('COUNT', 1, 'BLOCK', IDLE_TURN_MS, 'STREAMS', keys.stream, '0-0')
      .then(
        () => undefined,
        (error: Error) => {
          if (!closing) onTrouble(error);
        },
      )
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  const turn = async (): Promise<void> => {
    const answer = await cutCalls(redis, keys, limits, processId);
    switch (answer.kind) {
      case 'cut':
        rate.cut(answer.waiting + answer.parked + usersOf(answer.calls), performance.now());
        await handOver(answer.calls);
        return;
      case 'linger': {
        rate.saw(answer.waiting, performance.now());
        return rest(nextLookMs({ ...limits, ...answer, arrivalsPerMs: rate.perMs }));
      }
      case 'watched':
        return rest(answer.waitMs + 1);
      case 'empty':
        return rest(2 * IDLE_TURN_MS, somethingWaits());
      case 'blocked':
        return rest(answer.by === 'open-calls' ? BLOCKED_LOOK_MS : STOPPED_LOOK_MS);
    }
  };

  const loop = async (): Promise<void> => {
    while (!closing) {
      pulse.turn();
      try {
        await turn();
      } catch (error) {
        if (!closing) onTrouble(error as Error);
        await rest(TROUBLE_WAIT_MS);
      }
    }
  };
  const ended = loop();

  return {
    nudge() {
      nudged = true;
      wake?.();
    },
    async close() {
      closing = true;
      wake?.();
      blocking.disconnect();
      await ended;
    },
    pulse,
  };
}
