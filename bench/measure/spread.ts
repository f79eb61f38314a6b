/** What several runs of one measurement came to. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Throws RangeError for no values: a figure that nobody measured must not be shown. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = sortedNumbers(values);
  return {
    median: middle(sorted),
    min: at(sorted, 0),
    max: at(sorted, sorted.length - 1),
    runs: sorted.length,
  };
}

export function median(values: readonly number[]): number {
  return middle(sortedNumbers(values));
}

/**
 * The smallest value that at least `share` (0..1) of the values do not exceed: nearest rank, so that it is always
 * a value that was measured.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = sortedNumbers(values);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return at(sorted, Math.min(rank, sorted.length) - 1);
}

function sortedNumbers(values: readonly number[]): number[] {
  if (values.length === 0 || values.some((value) => !Number.isFinite(value))) {
    throw new RangeError(`nothing to measure by: ${values.length} values, all must be finite`);
  }
  return [...values].sort((a, b) => a - b);
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  return sorted.length % 2 === 1
    ? at(sorted, Math.floor(half))
    : (at(sorted, half - 1) + at(sorted, half)) / 2;
}

function at(sorted: readonly number[], index: number): number {
  return sorted[index] ?? Number.NaN;
}
