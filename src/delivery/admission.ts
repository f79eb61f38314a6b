/**
 * Where runs wait before they take their record. Two seconds of calls are open under a backlog, each with a hundred
 * events: taken at once they would be parsed long before their slots, and what lives for seconds is what makes a heap
 * grow. So of each kind only as many get ready at a time as keep the slots in use.
 */
export interface Admission {
  /**
   * Resolves when a run of this kind may get ready, to what it calls once it has a slot or has ended (again does no
   * harm); to 'closing' when this process stops. `kind`: what its job tells of its class.
   */
  acquire(kind: string): Promise<Release | 'closing'>;
  /**
   * The fleet was stopped or let go: for a while everybody gets ready. While it is held any of them may be the one whose
   * call proves something, and entries that do not hold up must not wait.
   */
  openAll(): void;
  /** Answers everyone who waits with 'closing', and everyone who comes. */
  close(): void;
  /** Closed: this process stops. */
  readonly isClosed: boolean;
}

export type Release = () => void;

interface CommandLimiter {
  ready: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/** Of a hold more is heard than this apart: its probes. */
const STIRRED_MS = 60_000;

/**
 * `places`: runs of a kind that get ready at a time. Kinds have places of their own, so that none waits for another;
 * who goes first is for the slots to say. `patienceMs`: who has waited so long gets ready all the same, so that
 * nothing depends on a run that does not end.
 */
export function createAdmission(options: {
  readonly places: number;
  readonly patienceMs: number;
  readonly nowMs: () => number;
}): Admission {
  const { places, patienceMs, nowMs } = options;
  const limiters = new Map<string, CommandLimiter>();
  let closed = false;
  let openUntilMs = Number.NEGATIVE_INFINITY;

  const takePlace = (limiter: CommandLimiter): Release => {
    limiter.ready += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      limiter.ready -= 1;
      if (limiter.ready < places) limiter.waiting.values().next().value?.();
    };
  };
  const letAllIn = (): void => {
    for (const { waiting } of limiters.values()) for (const go of [...waiting]) go();
  };

  return {
    async acquire(kind) {
      if (closed) return 'closing';
      const limiter = limiters.get(kind) ?? { ready: 0, waiting: new Set() };
      limiters.set(kind, limiter);
      if (limiter.ready < places || nowMs() < openUntilMs) return takePlace(limiter);
      return new Promise((resolve) => {
        const go = (): void => {
          clearTimeout(timer);
          limiter.waiting.delete(go);
          resolve(closed ? 'closing' : takePlace(limiter));
        };
        const timer = setTimeout(go, patienceMs);
        limiter.waiting.add(go);
      });
    },
    openAll() {
      openUntilMs = nowMs() + STIRRED_MS;
      letAllIn();
    },
    get isClosed() {
      return closed;
    },
    close() {
      closed = true;
      letAllIn();
    },
  };
}
