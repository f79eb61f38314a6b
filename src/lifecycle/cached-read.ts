import { performance } from 'node:perf_hooks';
import { within } from './within.ts';

/**
 * Bounds a read that anybody may ask for at any rate: one at a time, its result serves everyone for `forMs`, and
 * nobody waits longer than `withinMs` (then the answer is the error `tooLate`). A failure is not kept.
 */
export function createFreshReader<T>(
  read: () => Promise<T>,
  limits: { readonly forMs: number; readonly withinMs: number; readonly tooLate: string },
): () => Promise<T> {
  let reading: Promise<T> | undefined;
  let last: { readonly value: T; readonly atMs: number } | undefined;
  const start = (): Promise<T> => {
    const started = read()
      .then((value) => {
        last = { value, atMs: performance.now() };
        return value;
      })
      .finally(() => {
        reading = undefined;
      });
    return started;
  };
  return async () => {
    if (last !== undefined && performance.now() - last.atMs < limits.forMs) return last.value;
    reading ??= start();
    return within(reading, limits.withinMs, limits.tooLate);
  };
}
