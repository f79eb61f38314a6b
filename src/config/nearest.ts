/**
 * The candidate that `given` is most likely a slip of, or undefined if none is close.
 *
 * Close is: no more than a quarter of the letters (at least one, at most four) inserted, dropped, replaced
 * or swapped, upper and lower case and the separators `_ - .` not counted.
 */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  const from = bare(given);
  const limit = Math.min(4, Math.max(1, Math.floor(from.length / 4)));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(from, bare(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `Did you mean X?` with a space before it, or nothing. */
export function suggestion(given: string, candidates: readonly string[]): string {
  const candidate = nearest(given, candidates);
  return candidate === undefined ? '' : ` Did you mean ${candidate}?`;
}

function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[_.-]/g, '');
}

/** Damerau's and Levenshtein's distance (neighbours swapped count as one), a row at a time. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : replaced;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
