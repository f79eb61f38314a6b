export type Release = () => void;

interface Kind {
  ready: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/**
 * Where runs wait before they take their record: a semaphore. Two seconds of calls are open under a backlog,
 * each with a hundred events. Taken at once, they would be parsed long before their slots, and what lives for
 * seconds makes a heap grow. So only as many of each kind get ready at a time as keep the slots in use. Each
 * kind has places of its own, so that none waits for another; the slots say which goes first.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #kinds = new Map<string, Kind>();
  #isClosed = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Closed: this process stops. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Resolves when a run of this kind may get ready: to what it calls once it has a slot or has ended (twice
   * does no harm), or to 'closing' when this process stops. `kind`: what its job tells of its class.
   */
  async acquire(kind: string): Promise<Release | 'closing'> {
    if (this.#isClosed) return 'closing';
    const { places, patienceMs } = this.#options;
    const state = this.#kinds.get(kind) ?? { ready: 0, waiting: new Set() };
    this.#kinds.set(kind, state);
    if (state.ready < places) return this.#takePlace(state);
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        state.waiting.delete(go);
        resolve(this.#isClosed ? 'closing' : this.#takePlace(state));
      };
      const timer = setTimeout(go, patienceMs);
      state.waiting.add(go);
    });
  }

  /** Answers 'closing' to everyone who waits, and to everyone who comes. */
  close(): void {
    this.#isClosed = true;
    for (const { waiting } of this.#kinds.values()) for (const go of [...waiting]) go();
  }

  #takePlace(kind: Kind): Release {
    kind.ready += 1;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      kind.ready -= 1;
      if (kind.ready < this.#options.places) kind.waiting.values().next().value?.();
    };
  }
}

interface AdmissionOptions {
  /** Runs of a kind that get ready at a time. */
  readonly places: number;
  /**
   * A run that has waited so long gets ready anyway. So nothing depends on a run that does not end, and in a
   * hold the call of every run may soon be the one that proves something.
   */
  readonly patienceMs: number;
}
