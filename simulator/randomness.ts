/** Returns a repeatable generator of numbers in [0, 1) from a 32-bit seed (mulberry32). Not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return finish(state);
  };
}

/**
 * Returns a number in [0, 1) that depends only on its arguments.
 * So a sticky rule hits the same accounts in any order of calls: those with a number below ratePerAccount.
 * Tests use it to predict these accounts.
 */
export function stickyFraction(seed: number, ruleName: string, userId: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const part of [ruleName, '\0', userId]) {
    for (let i = 0; i < part.length; i += 1) hash = Math.imul(hash ^ part.charCodeAt(i), 0x01000193);
  }
  return finish(hash >>> 0);
}

/** Returns a number in [min, max], evenly distributed. */
export function between(range: readonly [number, number], random: () => number): number {
  return range[0] + (range[1] - range[0]) * random();
}

function finish(value: number): number {
  let t = Math.imul(value ^ (value >>> 15), value | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
