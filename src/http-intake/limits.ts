/** What many requests may hold at once, so that no crowd of them takes the worker's memory. */
export interface IntakeLoad {
  /** False when these bytes are too many on top of what is held. */
  hold(bytes: number): boolean;
  release(bytes: number): void;
  /** False when enough requests wait already; else to be ended with `leave`. */
  enter(): boolean;
  leave(): void;
}

/** Bytes of bodies held at once, over all requests. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Requests that wait for outcomes at once. */
const MOST_WAITING = 1_000;

export function createIntakeLoad(): IntakeLoad {
  let held = 0;
  let waiting = 0;
  return {
    hold(bytes) {
      if (held + bytes > MOST_BYTES) return false;
      held += bytes;
      return true;
    },
    release(bytes) {
      held -= bytes;
    },
    enter() {
      if (waiting >= MOST_WAITING) return false;
      waiting++;
      return true;
    },
    leave() {
      waiting--;
    },
  };
}
