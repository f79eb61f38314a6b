export type RedisClock = Readonly<ReturnType<typeof createRedisClock>>;

/** Clocks drift apart by less than this, per ms: what NTP may slew. Bounds loosen by it as they age. */
const DRIFT = 500e-6;
/** Bounds that contradict each other by more than this are not of the same clock. */
const SLACK_MS = 0.5;
/** A smaller step than this is within the margin of the quota. */
const STEP_MS = 5;
/** What was granted before a step has gone out by then, and its second is over. */
const STEP_SETTLES_MS = 1_500;
/** On one machine or in one data centre a reply comes within this: a lead would gain nothing. */
const NEAR_MS = 4;
/** A delay counts fully at once and fades with every reply, so that one stall does not last. */
const FADE = 0.9;
/** Further away than this nothing can be promised. */
const MAX_LEAD_MS = 500;
/** Replies do not all take the same. */
const SPARE = 1.1;

/**
 * Maps times on Redis's clock to this process's monotonic clock (milliseconds of `performance.now()`).
 *
 * Every reply that carries Redis's time is a sample: Redis read its clock somewhere between sending and
 * receiving, so the offset of the two clocks lies between two bounds. What the samples have in common is far
 * narrower than any one round trip: a slow reply (a jittery connection, a busy process) still has a good
 * lower bound, a slow question a good upper one. So jitter does not shift the slots.
 */
export function createRedisClock() {
  let lowMs = Number.NaN;
  let highMs = Number.NaN;
  let lastAtMs = Number.NaN;
  let steppedAtMs = Number.NEGATIVE_INFINITY;
  /** How long replies took from Redis to here, the slowest of late. */
  let slowestMs = 0;
  const toLocalMs = (redisMs: number): number => redisMs + (lowMs + highMs) / 2;
  return {
    sample(sentAtMs: number, receivedAtMs: number, redisMs: number): void {
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
      const delayMs = Math.min(receivedAtMs - toLocalMs(redisMs), MAX_LEAD_MS);
      slowestMs = Math.max(delayMs, slowestMs * FADE);
    },
    /**
     * How far ahead of a reply a slot must lie to be of use to this process; 0 where Redis is near. Where it
     * is far away, a slot that begins now has passed when its news arrives: no call would ever start.
     */
    leadMs: (): number => (slowestMs < NEAR_MS ? 0 : Math.min(MAX_LEAD_MS, slowestMs * SPARE)),
    /** NaN before the first sample. */
    toLocalMs,
    /**
     * The same for a slot. It is -Infinity, too late for any use, soon after Redis's clock was seen to be set
     * forward: slots that were granted before still go out, and the new ones know nothing of them.
     */
    slotAtLocalMs(redisMs: number): number {
      const atMs = toLocalMs(redisMs);
      return atMs < steppedAtMs + STEP_SETTLES_MS ? Number.NEGATIVE_INFINITY : atMs;
    },
    /**
     * For how long that lasts; 0 when nothing was seen. Other processes are told, which may not have seen it
     * (slot.lua). Rounded up by more than the two clocks are told apart by: a slot at its very end is used.
     */
    settlesInMs(nowMs: number): number {
      const leftMs = steppedAtMs + STEP_SETTLES_MS - nowMs;
      return leftMs > 0 ? leftMs + STEP_MS : 0;
    },
    /** `toLocalMs` is off by at most this, as of the last sample. NaN before the first one. */
    get uncertaintyMs(): number {
      return Math.abs(highMs - lowMs) / 2;
    },
  };
}
