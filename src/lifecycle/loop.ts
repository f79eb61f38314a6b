import { performance } from 'node:perf_hooks';

/**
 * By when a loop must turn next. Liveness (ops/liveness.ts) compares it with the clock: a loop that is past
 * its deadline had something to do and did not turn. One that rests for a time it set itself is well.
 */
export interface LoopDeadline {
  /** On `performance.now()`: when the loop turned last, or when its rest ends. Null: it has nothing to do. */
  readonly dueMs: number | null;
}

/** setTimeout fires at once for a longer delay, which would make a loop spin. */
const LONGEST_REST_MS = 2_147_483_647;

export interface LoopOptions {
  /** One turn. `loop` offers its rests. */
  readonly turn: (loop: Loop) => Promise<void>;
  /** How long the loop rests after a turn that rejected. */
  readonly errorRestMs: number;
  /** Is told each error of a turn, except after `stop`. Must not throw. */
  readonly onError: (error: Error) => void;
  readonly nowMs?: () => number;
}

/**
 * A background loop: it runs one turn after another until it is stopped.
 *
 *     created ── run() ──▶ turning ⇄ resting        stop() ──▶ stopping ──▶ stopped
 *
 * - A turn decides how long the loop rests: it awaits `rest` before it returns. A turn that returns without a
 *   rest is followed by the next one at once.
 * - A turn that rejects is reported, and a rest of `errorRestMs` follows. No error ends the loop.
 * - `wake` is never lost: during a turn it ends the next rest before it begins. Several count once.
 * - `stop` lets the turn at hand finish. It is safe twice, before `run`, and while the loop starts. A stopped
 *   loop never turns again.
 */
export class Loop implements LoopDeadline {
  readonly #options: LoopOptions;
  #ended: Promise<void> | undefined;
  #stopping = false;
  #wokenEarly = false;
  #endRest: (() => void) | undefined;
  #dueMs: number | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Starts the loop; the first turn begins after the caller's own step. Later calls change nothing. */
  run(): void {
    if (!this.#stopping) this.#ended ??= this.#turnUntilStopped();
  }

  /**
   * For a turn: resolves after `ms`, when the loop is woken or stopped, or when `until` resolves. Without
   * `ms` only those end the rest, and the loop counts as having nothing to do. Rejects as `until` does.
   */
  async rest(ms?: number, until?: Promise<unknown>): Promise<void> {
    this.#dueMs = ms === undefined ? null : this.#nowMs() + ms;
    let timer: NodeJS.Timeout | undefined;
    try {
      if (!this.#wokenEarly && !this.#stopping) {
        const ended = new Promise<void>((resolve) => {
          this.#endRest = resolve;
          if (ms !== undefined) timer = setTimeout(resolve, Math.min(ms, LONGEST_REST_MS));
        });
        await (until === undefined ? ended : Promise.race([ended, until]));
      }
    } finally {
      clearTimeout(timer);
      this.#endRest = undefined;
      this.#wokenEarly = false;
      this.#dueMs = this.#nowMs();
    }
  }

  /**
   * For a turn: waits for something that may take any time without being stuck, such as a free place. `wake`
   * and `stop` do not end it: the caller sees to that.
   */
  async idleUntil<T>(work: Promise<T>): Promise<T> {
    this.#dueMs = null;
    try {
      return await work;
    } finally {
      this.#dueMs = this.#nowMs();
    }
  }

  /** Ends the rest at hand, or the next one. */
  wake(): void {
    this.#wokenEarly = true;
    this.#endRest?.();
  }

  /** Resolves when the turn at hand has ended. A turn may call it but must not await it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#endRest?.();
    await this.#ended;
  }

  /** True from the first `stop` on, so that a long turn can end early. */
  get isStopping(): boolean {
    return this.#stopping;
  }

  get dueMs(): number | null {
    return this.#dueMs;
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  async #turnUntilStopped(): Promise<void> {
    this.#dueMs = this.#nowMs();
    // The caller may still be setting up what the first turn needs, or stop the loop at once.
    await Promise.resolve();
    while (!this.#stopping) {
      this.#dueMs = this.#nowMs();
      try {
        await this.#options.turn(this);
      } catch (error) {
        if (this.#stopping) break;
        this.#options.onError(error as Error);
        await this.rest(this.#options.errorRestMs);
      }
    }
    this.#dueMs = null;
  }
}

/**
 * Starts a loop that does its `work` every `everyMs`, first after one such rest. After a failure, which
 * `onError` is told, it does it again at the next time.
 */
export function startEvery(
  everyMs: number,
  work: () => Promise<unknown>,
  onError: (error: Error) => void,
): Loop {
  const loop = new Loop({
    async turn() {
      await loop.rest(everyMs);
      if (!loop.isStopping) await work();
    },
    errorRestMs: 0,
    onError,
  });
  loop.run();
  return loop;
}
