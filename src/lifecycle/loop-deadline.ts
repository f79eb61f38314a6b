import { performance } from 'node:perf_hooks';

/**
 * The rhythm of a loop, for liveness: by when is its next turn due? A loop that waits for a time it set itself
 * is well, however long the wait; one that is past that time has not turned though it had something to do.
 */
export interface LoopDeadline {
  /** `performance.now()` at which the loop turned last, or is to turn when its rest is over; null: nothing to do. */
  readonly dueMs: number | null;
}

export interface BeatingPulse extends LoopDeadline {
  /** The loop turns now. */
  turn(): void;
  /** The loop rests for so long, unless it is woken sooner. */
  rest(ms: number): void;
  /** The loop has nothing to do until it is asked. */
  idle(): void;
}

/** Starts idle. */
export function createLoopDeadline(nowMs: () => number = () => performance.now()): BeatingPulse {
  let dueMs: number | null = null;
  return {
    turn: () => {
      dueMs = nowMs();
    },
    rest: (ms) => {
      dueMs = nowMs() + ms;
    },
    idle: () => {
      dueMs = null;
    },
    get dueMs() {
      return dueMs;
    },
  };
}
