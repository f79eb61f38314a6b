import type { LoopDeadline } from '../lifecycle/loop-deadline.ts';
import type { Heartbeat } from './heartbeat.ts';

/** A loop whose turning this process answers for. */
export interface WatchedLoop {
  readonly name: string;
  readonly deadline: LoopDeadline;
}

/** A loop that has not turned though it had something to do. */
export interface StuckLoop {
  readonly loop: string;
  readonly stuckForMs: number;
}

/** A loop that is this late with its turn is stuck: restart the process. */
export const STUCK_AFTER_MS = 30_000;

/**
 * Which loops are stuck. Only time counts in which Redis answered without a break and this process was awake: a
 * command that Redis cannot answer keeps a loop waiting, not stuck. Pure; times are those of one clock.
 */
export function stuckLoops(
  loops: readonly WatchedLoop[],
  { answeringSinceMs, awakeSinceMs }: Heartbeat,
  nowMs: number,
): StuckLoop[] {
  if (answeringSinceMs === null) return [];
  return loops.flatMap(({ name, deadline }) => {
    if (deadline.dueMs === null) return [];
    const stuckForMs = nowMs - Math.max(deadline.dueMs, answeringSinceMs, awakeSinceMs);
    return stuckForMs > STUCK_AFTER_MS ? [{ loop: name, stuckForMs: Math.round(stuckForMs) }] : [];
  });
}

/**
 * The deadline of a loop that is not ours and may end without a word: overdue from the first look that found it ended.
 */
export function runningDeadline(
  loop: { readonly isRunning: boolean; readonly deadline: LoopDeadline },
  nowMs: () => number,
): LoopDeadline {
  let endedAtMs: number | null = null;
  return {
    get dueMs() {
      endedAtMs = loop.isRunning ? null : (endedAtMs ?? nowMs());
      return endedAtMs ?? loop.deadline.dueMs;
    },
  };
}
