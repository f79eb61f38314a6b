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
 * Since when Redis has answered without a break, and since when this process has been awake without one.
 * Liveness needs both: a loop that waits for an absent Redis is not stuck, nor is one on a machine that was
 * suspended. Both are times of `performance.now()`.
 */
export interface Heartbeat {
  /** Null while Redis does not answer. */
  readonly answeringSinceMs: number | null;
  readonly awakeSinceMs: number;
}

const BEAT_EVERY_MS = 2_000;
/** A PING that takes longer than this counts as unanswered until it is. */
const SILENT_AFTER_MS = 3_000;
/** Two beats further apart than this mean that the process or its event loop stood still. */
const ASLEEP_AFTER_MS = 3 * BEAT_EVERY_MS;

interface HeartbeatOptions {
  /** Resolves when Redis did what was asked, however late. Rejects when it refused or is out of reach. */
  readonly ping: () => Promise<unknown>;
  /** Called once for each change. `refusal`: the words of Redis, if it refuses. */
  readonly onChange: (change: 'silent' | 'refuses' | 'answers', refusal?: string) => void;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat & { close(): void } {
  const heartbeat = createHeartbeat(options, () => performance.now());
  const timer = setInterval(heartbeat.beat, BEAT_EVERY_MS);
  heartbeat.beat();
  return Object.assign(heartbeat, { close: () => clearInterval(timer) });
}

/** The rule without its timer: the caller calls `beat` every two seconds. */
export function createHeartbeat(
  { ping, onChange }: HeartbeatOptions,
  nowMs: () => number,
): Heartbeat & { beat(): void } {
  let answeringSinceMs: number | null = nowMs();
  let awakeSinceMs = nowMs();
  let lastBeatMs = nowMs();
  let askedAtMs = nowMs();
  let pending = false;
  let said: 'answers' | 'silent' | 'refuses' = 'answers';

  const answered = (): void => {
    pending = false;
    if (answeringSinceMs !== null) return;
    answeringSinceMs = nowMs();
    said = 'answers';
    onChange(said);
  };
  const fallSilent = (how: 'silent' | 'refuses', refusal?: string): void => {
    answeringSinceMs = null;
    // That a Redis which refuses does not answer either is not a change.
    if (said === how || said === 'refuses') return;
    said = how;
    onChange(how, refusal);
  };
  const noteSleep = (): void => {
    // The time asleep does not count: neither the loops nor Redis could do anything in it.
    if (nowMs() - lastBeatMs <= ASLEEP_AFTER_MS) return;
    awakeSinceMs = nowMs();
    askedAtMs = awakeSinceMs;
    lastBeatMs = awakeSinceMs;
  };

  return {
    beat() {
      noteSleep();
      lastBeatMs = nowMs();
      if (pending) {
        if (nowMs() - askedAtMs > SILENT_AFTER_MS) fallSilent('silent');
        return;
      }
      pending = true;
      askedAtMs = nowMs();
      ping().then(answered, (error: Error) => {
        pending = false;
        if (error.name === 'ReplyError') fallSilent('refuses', error.message);
        else fallSilent('silent');
      });
    },
    get answeringSinceMs() {
      return answeringSinceMs;
    },
    get awakeSinceMs() {
      noteSleep();
      return awakeSinceMs;
    },
  };
}
