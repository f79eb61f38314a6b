import type { LoopDeadline } from '../lifecycle/loop.ts';

export interface WatchedLoop {
  readonly name: string;
  readonly deadline: LoopDeadline;
}

/** A loop that has not turned although it had something to do. */
interface StuckLoop {
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
  { answeringSinceMs }: Heartbeat,
  nowMs: number,
): StuckLoop[] {
  if (answeringSinceMs === null) return [];
  return loops.flatMap(({ name, deadline }) => {
    if (deadline.dueMs === null) return [];
    const stuckForMs = nowMs - Math.max(deadline.dueMs, answeringSinceMs);
    return stuckForMs > STUCK_AFTER_MS ? [{ loop: name, stuckForMs: Math.round(stuckForMs) }] : [];
  });
}

export interface Heartbeat {
  /**
   * Since when Redis has answered and this process was awake, both without a break, on `performance.now()`:
   * a loop that waits for an absent Redis is not stuck, nor is one in a process that stood still. Null while
   * Redis does not answer.
   */
  readonly answeringSinceMs: number | null;
}

const BEAT_EVERY_MS = 2_000;
/** A PING that takes longer than this counts as unanswered until it is. */
const SILENT_AFTER_MS = 3_000;
/** Two beats further apart than this mean that the process or its event loop stood still. */
const ASLEEP_AFTER_MS = 3 * BEAT_EVERY_MS;

interface HeartbeatOptions {
  /** Resolves when Redis did what was asked, however late. Rejects when it refused or is out of reach. */
  readonly ping: () => Promise<unknown>;
  /** Called with what each beat found. `refusal`: the words of Redis, if it refuses. */
  readonly onBeat: (found: 'silent' | 'refuses' | 'answers', refusal?: string) => void;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat & { close(): void } {
  const heartbeat = createHeartbeat(options, () => performance.now());
  const timer = setInterval(heartbeat.beat, BEAT_EVERY_MS);
  heartbeat.beat();
  return Object.assign(heartbeat, { close: () => clearInterval(timer) });
}

/** The rule without its timer: the caller calls `beat` every two seconds. */
export function createHeartbeat(
  { ping, onBeat }: HeartbeatOptions,
  nowMs: () => number,
): Heartbeat & { beat(): void } {
  let answeringSinceMs: number | null = nowMs();
  let lastBeatMs = nowMs();
  let askedAtMs = nowMs();
  let pending = false;

  const answered = (): void => {
    pending = false;
    answeringSinceMs ??= nowMs();
    onBeat('answers');
  };
  const unanswered = (how: 'silent' | 'refuses', refusal?: string): void => {
    answeringSinceMs = null;
    onBeat(how, refusal);
  };
  const noteSleep = (): void => {
    // The time asleep does not count: neither the loops nor Redis could do anything in it.
    if (nowMs() - lastBeatMs <= ASLEEP_AFTER_MS) return;
    lastBeatMs = nowMs();
    askedAtMs = lastBeatMs;
    if (answeringSinceMs !== null) answeringSinceMs = lastBeatMs;
  };

  return {
    beat() {
      noteSleep();
      lastBeatMs = nowMs();
      if (pending) {
        if (nowMs() - askedAtMs > SILENT_AFTER_MS) unanswered('silent');
        return;
      }
      pending = true;
      askedAtMs = nowMs();
      ping().then(answered, (error: Error) => {
        pending = false;
        if (error.name === 'ReplyError') unanswered('refuses', error.message);
        else unanswered('silent');
      });
    },
    get answeringSinceMs() {
      noteSleep();
      return answeringSinceMs;
    },
  };
}
