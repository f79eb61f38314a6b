/**
 * How often calls fail by chance, and how many failures in a row it takes until chance is no explanation. A service that
 * drops one call in a hundred and one that drops every second call need different patience before a fault is laid at
 * the door of a call's users.
 */
export interface Chance {
  /**
   * Users passed together after so many failures of just these users: chance it was. What is split, or goes on failing,
   * tells nothing of chance.
   */
  passed(failures: number): void;
  /** Calls of the same users in a row that must fail before the fault is looked for among them; two at least. */
  splitAfter(): number;
  /** Calls of one user alone that must fail before that user's event ends; three at least. */
  endAfter(): number;
}

/** What is older counts less: half after this time. */
const HALF_LIFE_MS = 300_000;
/** Calls that are taken to have passed before the first one was made. */
const PRIOR_CALLS = 5;
const LEAST_SHARE = 0.01;
const MOST_SHARE = 0.9;
/** A split by chance costs a few calls; an end by chance costs a user. */
const SPLIT_BY_CHANCE = 0.05;
const END_BY_CHANCE = 1e-6;

/** Of this process's calls. `nowMs`: monotonic. */
export function createChance(nowMs: () => number): Chance {
  let calls = 0;
  let failures = 0;
  let atMs = nowMs();
  const fade = (): void => {
    const now = nowMs();
    const left = 0.5 ** ((now - atMs) / HALF_LIFE_MS);
    calls *= left;
    failures *= left;
    atMs = now;
  };
  const share = (): number => {
    fade();
    return Math.min(MOST_SHARE, Math.max(LEAST_SHARE, failures / (calls + PRIOR_CALLS)));
  };
  return {
    passed(failuresBefore) {
      fade();
      calls += 1 + failuresBefore;
      failures += failuresBefore;
    },
    splitAfter: () => 1 + inARow(share(), SPLIT_BY_CHANCE),
    endAfter: () => Math.max(3, inARow(share(), END_BY_CHANCE)),
  };
}

/** Failures in a row that chance brings about with less than this probability. */
function inARow(share: number, probability: number): number {
  return Math.ceil(Math.log(probability) / Math.log(share));
}
