import { performance } from 'node:perf_hooks';

/**
 * A read that many may ask for at any rate: one read at a time runs, all who ask meanwhile share it, and its
 * result serves for `forMs`. A failure is not kept, so the next one who asks tries again.
 */
export function createCachedRead<T>(read: () => Promise<T>, forMs: number): () => Promise<T> {
  let reading: Promise<T> | undefined;
  let last: { readonly value: T; readonly atMs: number } | undefined;
  const readAgain = (): Promise<T> =>
    read()
      .then((value) => {
        last = { value, atMs: performance.now() };
        return value;
      })
      .finally(() => {
        reading = undefined;
      });
  return async () => {
    if (last !== undefined && performance.now() - last.atMs < forMs) return last.value;
    reading ??= readAgain();
    return reading;
  };
}
