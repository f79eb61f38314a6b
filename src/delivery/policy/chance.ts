/** Older calls count less: half after this time. */
const HALF_LIFE_MS = 300_000;
/** Calls that are taken to have passed before the first one was made. */
const PRIOR_CALLS = 5;
const LEAST_SHARE = 0.01;
const MOST_SHARE = 0.9;
/** A split by chance costs a few calls; an end by chance costs a user. */
const SPLIT_BY_CHANCE = 0.05;
const END_BY_CHANCE = 1e-6;

/**
 * How often the calls of this process fail by chance, and how many failures in a row it takes until chance is
 * no explanation. A service that drops one call in a hundred and one that drops every second call need
 * different patience before users are blamed for a fault.
 */
export class Chance {
  readonly #nowMs: () => number;
  #calls = 0;
  #failures = 0;
  #atMs: number;

  /** `nowMs`: a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#atMs = nowMs();
  }

  /**
   * Users passed together after so many failures of just these users: that was chance. Users who are split,
   * or go on failing, tell nothing of chance.
   */
  passed(failures: number): void {
    this.#fade();
    this.#calls += 1 + failures;
    this.#failures += failures;
  }

  /** Calls in a row of the same users that must fail before the users are split; two at least. */
  splitAfter(): number {
    return 1 + this.#inARow(SPLIT_BY_CHANCE);
  }

  /** Calls of one user alone that must fail before that user's event ends; three at least. */
  endAfter(): number {
    return Math.max(3, this.#inARow(END_BY_CHANCE));
  }

  /** Failures in a row that chance brings about with less than this probability. */
  #inARow(probability: number): number {
    this.#fade();
    const share = Math.min(MOST_SHARE, Math.max(LEAST_SHARE, this.#failures / (this.#calls + PRIOR_CALLS)));
    return Math.ceil(Math.log(probability) / Math.log(share));
  }

  #fade(): void {
    const nowMs = this.#nowMs();
    const left = 0.5 ** ((nowMs - this.#atMs) / HALF_LIFE_MS);
    this.#calls *= left;
    this.#failures *= left;
    this.#atMs = nowMs;
  }
}
