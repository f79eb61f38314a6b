/**
 * Maps times on Redis's clock to this process's monotonic clock (milliseconds of `performance.now()`).
 *
 * Every reply that carries Redis's time is a sample: Redis read its clock somewhere between sending and
 * receiving, so the offset of the two clocks lies between two bounds. What the samples have in common is far
 * narrower than any one round trip: a slow reply (a jittery connection, a busy process) still has a good lower
 * bound, a slow question a good upper one. So jitter does not shift the slots ("wait from the reply" does).
 */
export interface RedisClock {
  sample(sentAtMs: number, receivedAtMs: number, redisMs: number): void;
  /** NaN before the first sample. */
  toLocalMs(redisMs: number): number;
  /**
   * The same for a slot; -Infinity, which is too late for any use, for one soon after Redis's clock was seen to be set
   * forward: slots that were granted before still go out, and the new ones know nothing of them.
   */
  slotAtLocalMs(redisMs: number): number;
  /** For how long that lasts; 0 when nothing was seen. All others are told, who may not have been there (slot.lua). */
  settlesInMs(nowMs: number): number;
  /** `toLocalMs` is off by at most this, in ms, as of the last sample. NaN before the first one. */
  readonly uncertaintyMs: number;
}

/** Clocks drift apart by less than this, per ms: what NTP may slew. Bounds loosen by it as they age. */
const DRIFT = 500e-6;
/** Bounds that contradict each other by more than this are not of the same clock. */
const SLACK_MS = 0.5;
/** A smaller step than this is within the margin of the quota. */
const STEP_MS = 5;
/** What was granted before a step has gone out by then, and its second is over. */
const STEP_SETTLES_MS = 1_500;

export function createRedisClock(): RedisClock {
  let lowMs = Number.NaN;
  let highMs = Number.NaN;
  let lastAtMs = Number.NaN;
  let steppedAtMs = Number.NEGATIVE_INFINITY;
  return {
    sample(sentAtMs, receivedAtMs, redisMs) {
      const low = sentAtMs - redisMs;
      const high = receivedAtMs - redisMs;
      const agedMs = DRIFT * Math.max(0, receivedAtMs - lastAtMs);
      lastAtMs = receivedAtMs;
      const oldLow = lowMs - agedMs;
      const oldHigh = highMs + agedMs;
      // True when Redis's clock was set or another server answers; also for the first sample, by NaN.
      const isOtherClock = !(low <= oldHigh + SLACK_MS && high >= oldLow - SLACK_MS);
      if (high < oldLow - STEP_MS) steppedAtMs = receivedAtMs;
      lowMs = isOtherClock ? low : Math.max(low, oldLow);
      highMs = isOtherClock ? high : Math.min(high, oldHigh);
    },
    toLocalMs: (redisMs) => redisMs + (lowMs + highMs) / 2,
    slotAtLocalMs(redisMs) {
      const atMs = redisMs + (lowMs + highMs) / 2;
      return atMs < steppedAtMs + STEP_SETTLES_MS ? Number.NEGATIVE_INFINITY : atMs;
    },
    // Rounded up by more than the two clocks are told apart by: a slot at its very end is to be of use.
    settlesInMs(nowMs) {
      const leftMs = steppedAtMs + STEP_SETTLES_MS - nowMs;
      return leftMs > 0 ? leftMs + STEP_MS : 0;
    },
    get uncertaintyMs() {
      return Math.abs(highMs - lowMs) / 2;
    },
  };
}
