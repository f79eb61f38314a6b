/**
 * Lets a line of one kind pass at most once in `everyMs`. The writer is given how many lines were left out
 * since the last one.
 */
export function atMostEvery(
  everyMs: number,
  nowMs: () => number = () => performance.now(),
): (write: (unsaid: number) => void) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let unsaid = 0;
  return (write) => {
    if (nowMs() - lastMs < everyMs) {
      unsaid++;
      return;
    }
    lastMs = nowMs();
    write(unsaid);
    unsaid = 0;
  };
}
