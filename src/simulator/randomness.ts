/** Repeatable randomness: the same seed gives the same numbers. Not for secrets. */

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return finish(state);
  };
}

/**
 * A number in [0, 1) that depends only on its arguments: the same account always draws the same lot
 * from the same rule, whatever the order of calls. Tests may use it to foretell which accounts a
 * sticky rule hits: those with `stickyFraction(...) < ratePerAccount`.
 */
export function stickyFraction(seed: number, ruleName: string, userId: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const part of [ruleName, '\0', userId]) {
    for (let i = 0; i < part.length; i += 1) hash = Math.imul(hash ^ part.charCodeAt(i), 0x01000193);
  }
  return finish(hash >>> 0);
}

/** A number in [min, max], evenly spread. */
export function between(range: readonly [number, number], random: () => number): number {
  return range[0] + (range[1] - range[0]) * random();
}

function finish(value: number): number {
  let t = Math.imul(value ^ (value >>> 15), value | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
