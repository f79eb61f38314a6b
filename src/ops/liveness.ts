import type { LoopDeadline } from '../lifecycle/loop.ts';
import type { Heartbeat } from './heartbeat.ts';

/** A loop that /livez watches. */
export interface WatchedLoop {
  readonly name: string;
  readonly deadline: LoopDeadline;
}

/** A loop that has not turned although it had something to do. */
export interface StuckLoop {
  readonly loop: string;
  readonly stuckForMs: number;
}

/** A loop that is this late is stuck: the process must be restarted. */
export const STUCK_AFTER_MS = 30_000;

/**
 * Which loops are stuck. Only the time counts in which Redis answered without a break and this process was
 * awake: a loop that waits for Redis is not stuck. Pure; all times are from one clock.
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
 * The deadline of BullMQ's own loop, which may end silently: it is overdue once a look finds that it has
 * ended.
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
