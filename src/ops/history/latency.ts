/**
 * Latencies are counted in buckets, each √2 times as wide as the one before, from 1 ms to two days. So a
 * percentile is known to within 20 %, and adds up over processes and times. Pure.
 */

const LAST_BUCKET = 55;

/** The bucket of a latency: `b` holds what is above 2^((b − 1) / 2) ms, up to 2^(b / 2) ms. */
export function bucketOf(latencyMs: number): number {
  if (!(latencyMs > 1)) return 0;
  return Math.min(LAST_BUCKET, Math.ceil(2 * Math.log2(latencyMs)));
}

/** The latency in ms below which `share` of the events lie; null without events. */
export function percentile(counts: ReadonlyMap<number, number>, share: number): number | null {
  const buckets = [...counts].sort(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  let before = 0;
  for (const [bucket, count] of buckets) {
    if (before + count >= share * total) {
      const from = bucket === 0 ? 0 : 2 ** ((bucket - 1) / 2);
      const within = (share * total - before) / count;
      return from + (2 ** (bucket / 2) - from) * within;
    }
    before += count;
  }
  return null;
}
