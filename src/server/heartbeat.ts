import { performance } from 'node:perf_hooks';

/**
 * Knows since when Redis has answered without a break, and since when this process has been awake without one.
 * Liveness leans on both: a loop that waits for a Redis that is away is not stuck, nor is one that just came back
 * from a suspended machine.
 */
export interface Heartbeat {
  /** `performance.now()`; null while Redis does not answer. */
  readonly answeringSinceMs: number | null;
  /** `performance.now()`. */
  readonly awakeSinceMs: number;
}

const BEAT_EVERY_MS = 2_000;
/** A PING that takes longer than this counts as unanswered until it is. */
const SILENT_AFTER_MS = 3_000;
/** Beats further apart than this: the process, or its event loop, stood still. */
const ASLEEP_AFTER_MS = 3 * BEAT_EVERY_MS;

interface HeartbeatOptions {
  /** Resolves when Redis answered, however late; rejects when the connection broke meanwhile. */
  readonly ping: () => Promise<unknown>;
  /** Told once a change; `silentMs` is how long Redis had not answered. */
  readonly onChange: (change: 'silent' | 'answers', silentMs: number) => void;
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat & { close(): void } {
  const heartbeat = createHeartbeat(options, () => performance.now());
  const timer = setInterval(heartbeat.beat, BEAT_EVERY_MS);
  heartbeat.beat();
  return {
    get answeringSinceMs() {
      return heartbeat.answeringSinceMs;
    },
    get awakeSinceMs() {
      return heartbeat.awakeSinceMs;
    },
    close: () => clearInterval(timer),
  };
}

/** The rule without the timer: `beat` is to be called every two seconds. */
export function createHeartbeat(
  { ping, onChange }: HeartbeatOptions,
  nowMs: () => number,
): Heartbeat & { beat(): void } {
  let answeringSinceMs: number | null = nowMs();
  let awakeSinceMs = nowMs();
  let lastBeatMs = nowMs();
  let askedAtMs = nowMs();
  let silentSinceMs = nowMs();
  let pending = false;

  const answered = (): void => {
    pending = false;
    if (answeringSinceMs !== null) return;
    answeringSinceMs = nowMs();
    onChange('answers', answeringSinceMs - silentSinceMs);
  };
  const silent = (): void => {
    if (answeringSinceMs === null) return;
    answeringSinceMs = null;
    silentSinceMs = askedAtMs;
    onChange('silent', nowMs() - silentSinceMs);
  };
  const noteSleep = (): void => {
    // After a sleep nothing is known of the time asleep: neither loops nor Redis had their chance.
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
        if (nowMs() - askedAtMs > SILENT_AFTER_MS) silent();
        return;
      }
      pending = true;
      askedAtMs = nowMs();
      ping().then(answered, () => {
        pending = false;
        silent();
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
