/** Cuts a list into two halves; the first is the longer one of an odd number. A list of one stays whole. */
export function halves<T>(items: readonly T[]): T[][] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)].filter((half) => half.length > 0);
}
