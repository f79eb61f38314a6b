/**
 * Maps times on Redis's clock to this process's monotonic clock (milliseconds of `performance.now()`).
 *
 * Every reply that carries Redis's time is a sample: Redis read its clock somewhere between sending and
 * receiving. The sample with the smallest round trip of the last seconds bounds the error best (by half of that
 * round trip), so a jittery connection does not shift the slots ("wait from the reply" does).
 */
export interface RedisClock {
  sample(sentAtMs: number, receivedAtMs: number, redisMs: number): void;
  /** NaN before the first sample. */
  toLocalMs(redisMs: number): number;
  /** Smallest round trip in use, in ms. */
  readonly roundTripMs: number;
}

interface Sample {
  readonly offsetMs: number;
  readonly roundTripMs: number;
  readonly takenAtMs: number;
}

/** Clocks drift apart by less than this, per ms that passed since a sample. */
const DRIFT = 200e-6;

/** `windowMs`: the oldest sample that counts. The best of each half of it is kept, so that one is always at hand. */
export function createRedisClock(windowMs = 10_000): RedisClock {
  let before: Sample | undefined;
  let current: Sample | undefined;
  let currentSinceMs = Number.NEGATIVE_INFINITY;
  const best = (): Sample | undefined =>
    before !== undefined && current !== undefined && before.roundTripMs < current.roundTripMs
      ? before
      : current;
  return {
    sample(sentAtMs, receivedAtMs, redisMs) {
      const roundTripMs = receivedAtMs - sentAtMs;
      const offsetMs = (sentAtMs + receivedAtMs) / 2 - redisMs;
      const taken: Sample = { offsetMs, roundTripMs, takenAtMs: receivedAtMs };
      const known = best();
      if (known === undefined || current === undefined || stepped(known, taken)) {
        before = undefined;
        current = taken;
        currentSinceMs = receivedAtMs;
        return;
      }
      const ageMs = receivedAtMs - currentSinceMs;
      if (ageMs > windowMs / 2) {
        before = ageMs > windowMs ? undefined : current;
        current = taken;
        currentSinceMs = receivedAtMs;
      } else if (roundTripMs <= current.roundTripMs) current = taken;
    },
    toLocalMs(redisMs) {
      return redisMs + (best()?.offsetMs ?? Number.NaN);
    },
    get roundTripMs() {
      return best()?.roundTripMs ?? Number.NaN;
    },
  };
}

/** True when both samples cannot be of the same clock: Redis's was set, or another server answers. */
function stepped(old: Sample, now: Sample): boolean {
  const slack = (old.roundTripMs + now.roundTripMs) / 2 + 1 + DRIFT * (now.takenAtMs - old.takenAtMs);
  return Math.abs(old.offsetMs - now.offsetMs) > slack;
}
