/** What the times of arrivals (ms, in order) say about a limit of calls a second. Pure. */

/** The most arrivals in any `widthMs`, half open: two that are `widthMs` apart do not share one. */
export function mostWithin(timesMs: readonly number[], widthMs: number): number {
  let most = 0;
  let from = 0;
  for (const [i, timeMs] of timesMs.entries()) {
    while (timeMs - (timesMs[from] ?? timeMs) >= widthMs) from++;
    most = Math.max(most, i - from + 1);
  }
  return most;
}

/** Arrivals in each `widthMs` from `fromMs` on, for `bins` of them. */
export function binned(timesMs: readonly number[], fromMs: number, widthMs: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (const timeMs of timesMs) {
    const bin = Math.floor((timeMs - fromMs) / widthMs);
    if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

/** Calls a second from the first arrival to the last. */
export function ratePerSecond(timesMs: readonly number[]): number {
  const spanMs = (timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0);
  if (timesMs.length < 2 || spanMs <= 0) throw new RangeError('a rate needs two arrivals at different times');
  return ((timesMs.length - 1) * 1000) / spanMs;
}

/**
 * The margin (0..1) that calls of this jitter need. The most that one call came closer to an earlier one of its
 * second than the even distance it was sent at (`sentPerSecond`) is what `quota` + 1 calls may lack in a second in
 * the worst case; a margin puts it back by sending slower. Seconds in which slots were given up count as well.
 */
export function marginNeeded(timesMs: readonly number[], quota: number, sentPerSecond: number): number {
  const evenMs = 1000 / sentPerSecond;
  let closerMs = 0;
  for (let i = 0; i < timesMs.length; i++) {
    for (let n = 1; n <= quota && i + n < timesMs.length; n++) {
      closerMs = Math.max(closerMs, n * evenMs - ((timesMs[i + n] ?? 0) - (timesMs[i] ?? 0)));
    }
  }
  return closerMs / (1000 + closerMs);
}
