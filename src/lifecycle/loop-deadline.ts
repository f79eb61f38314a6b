import { performance } from 'node:perf_hooks';

/**
 * By when a loop must turn next. Liveness compares it with the clock: a loop that is past its deadline had
 * something to do and did not turn. A loop that waits for a time it set itself is well, however long it
 * waits.
 */
export interface LoopDeadline {
  /** On `performance.now()`: when the loop turned last, or when its rest ends. Null: it has nothing to do. */
  readonly dueMs: number | null;
}

/** A deadline as its loop sees it: the loop says what it does. */
export interface LoopDeadlineSetter extends LoopDeadline {
  /** The loop turns now. */
  turn(): void;
  /** The loop rests for so long, unless it is woken earlier. */
  rest(ms: number): void;
  /** The loop has nothing to do until somebody asks it. */
  idle(): void;
}

/** Starts idle. */
export function createLoopDeadline(nowMs: () => number = () => performance.now()): LoopDeadlineSetter {
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
