/** When to look again at events that are not due yet. Pure. */

/** Entries a millisecond, as the watching process sees them arrive. */
export interface ArrivalRate {
  /** Feeds what a look at the intake saw. */
  saw(waiting: number, nowMs: number): void;
  /**
   * A cut came when `waiting` entries were there, and took some away: differences start anew. It may raise the
   * estimate and never lowers it, since another process may have cut before. (Not counted at all, a rate that had risen
   * was never learned: each look came so late that it found a full call, and no two looks lay between two cuts.)
   */
  cut(waiting: number, nowMs: number): void;
  readonly perMs: number;
}

/**
 * What was seen so long ago counts half. By time and not by looks: those of one millisecond, in which nothing happened to
 * come, must not make a quick stream look slow, and the next look come late.
 */
const HALF_LIFE_MS = 10;

export function createArrivalRate(): ArrivalRate {
  let perMs = 0;
  let last: { waiting: number; atMs: number } | undefined;
  return {
    saw(waiting, nowMs) {
      if (last !== undefined && nowMs > last.atMs) {
        const seen = Math.max(0, waiting - last.waiting) / (nowMs - last.atMs);
        const kept = perMs === 0 ? 0 : 2 ** ((last.atMs - nowMs) / HALF_LIFE_MS);
        perMs = kept * perMs + (1 - kept) * seen;
      }
      last = { waiting, atMs: nowMs };
    },
    cut(waiting, nowMs) {
      if (last !== undefined && nowMs > last.atMs) {
        perMs = Math.max(perMs, (waiting - last.waiting) / (nowMs - last.atMs));
      }
      last = undefined;
    },
    get perMs() {
      return perMs;
    },
  };
}

/**
 * Milliseconds until the call is expected to be full, or is due as it is (`dueInMs`), whichever comes first; at least
 * one. Without a known rate it looks a few times within the wait.
 */
export function nextLookMs(state: {
  readonly waiting: number;
  readonly dueInMs: number;
  readonly maxUsers: number;
  readonly maxWaitMs: number;
  readonly arrivalsPerMs: number;
}): number {
  const untilFull =
    state.arrivalsPerMs > 0
      ? (state.maxUsers - state.waiting) / state.arrivalsPerMs
      : Math.max(5, state.maxWaitMs / 10);
  // The rate is a guess: after half a wait it is worth another look.
  return Math.max(1, Math.ceil(Math.min(state.dueInMs, untilFull, Math.max(5, state.maxWaitMs / 4))));
}

/** The watching process looks in time if it can; this much later it is thought to be held up. */
const GRACE_MS = 10;

/**
 * Milliseconds until a process looks that has not the watch: soon after the call should be full, by how fast its first
 * events came, since the one that has the watch may be held up; and when the watch ends (`waitMs`).
 */
export function secondLookMs(state: {
  readonly waiting: number;
  readonly waitMs: number;
  readonly dueInMs: number;
  readonly maxUsers: number;
  readonly maxWaitMs: number;
}): number {
  const ageMs = Math.max(1, state.maxWaitMs - state.dueInMs);
  const lookMs = nextLookMs({ ...state, arrivalsPerMs: state.waiting / ageMs });
  return Math.min(state.waitMs + 1, lookMs + GRACE_MS);
}
