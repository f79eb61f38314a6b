/** How a call ended, as the simulator sees it. */
export type CallOutcome =
  | 'pending'
  | 'answered'
  | 'garbage'
  | 'truncated'
  | 'reset'
  | 'hung'
  /** The client closed the connection before its body was complete. */
  | 'aborted'
  | `http-${number}`;

/** One line of the call log. */
export interface CallEntry {
  /** Counts the calls from 1, in order of arrival. */
  readonly seq: number;
  /** The arrival in milliseconds since 1970, with a fraction. */
  readonly arrivedAtMs: number;
  readonly command: string;
  /** Accounts in the call; 0 if the body could not be read. */
  items: number;
  /** null unless the call was answered with an ErrorCode. */
  errorCode: number | null;
  /** From arrival to end; null while the call is pending or hung. */
  latencyMs: number | null;
  outcome: CallOutcome;
  /** The client had left when the answer was ready. */
  clientGone: boolean;
}

/** Keeps the last `capacity` calls in order of arrival. */
export class CallLog {
  readonly #capacity: number;
  #ring: CallEntry[] = [];
  #seq = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  open(command: string, arrivedAtMs: number): CallEntry {
    const entry: CallEntry = {
      seq: this.#seq + 1,
      arrivedAtMs,
      command,
      items: 0,
      errorCode: null,
      latencyMs: null,
      outcome: 'pending',
      clientGone: false,
    };
    if (this.#capacity > 0) this.#ring[this.#seq % this.#capacity] = entry;
    this.#seq += 1;
    return entry;
  }

  /** Oldest first. */
  *entries(): Generator<CallEntry> {
    const start = this.#ring.length < this.#capacity ? 0 : this.#seq % this.#capacity;
    for (let i = 0; i < this.#ring.length; i += 1) {
      const entry = this.#ring[(start + i) % this.#ring.length];
      if (entry !== undefined) yield entry;
    }
  }

  clear(): void {
    this.#ring = [];
    this.#seq = 0;
  }
}
