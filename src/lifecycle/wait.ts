import { performance } from 'node:perf_hooks';

/** Waits: until a time, for work that must end in time, and for a read that many share. */

/**
 * Waits until `atMs` on `performance.now()`, and never returns early. A timer may fire a millisecond early
 * and usually fires up to one late, so the clock is read again after each timer.
 */
export async function waitUntil(atMs: number): Promise<void> {
  for (;;) {
    const remainingMs = atMs - performance.now();
    if (remainingMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(remainingMs)));
  }
}

/** Resolves as `work` does, or rejects with the error `tooLate` after `ms`. The work itself goes on. */
export async function within<T>(work: Promise<T>, ms: number, tooLate: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(tooLate)), ms);
  });
  // A failure that comes too late would otherwise be an unhandled rejection.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A read that may be asked for at any rate: one read at a time runs, all who ask meanwhile share it, and its
 * result serves for `forMs`. A failure is not kept: the next call tries again.
 */
export function createCachedRead<T>(read: () => Promise<T>, forMs: number): () => Promise<T> {
  let reading: Promise<T> | undefined;
  let servesUntilMs = 0;
  return () => {
    if (reading !== undefined && performance.now() < servesUntilMs) return reading;
    servesUntilMs = Number.POSITIVE_INFINITY;
    reading = read();
    reading.then(
      () => {
        servesUntilMs = performance.now() + forMs;
      },
      () => {
        servesUntilMs = 0;
      },
    );
    return reading;
  };
}

/** Questions of one kind that are remembered at a time. */
const MOST_QUESTIONS = 100;

/** The same for questions of one kind, of which each has a name: `read` gets it. */
export function createCachedReads<T>(
  read: (name: string) => Promise<T>,
  forMs: number,
): (name: string) => Promise<T> {
  const reads = new Map<string, () => Promise<T>>();
  return (name) => {
    const known = reads.get(name) ?? createCachedRead(() => read(name), forMs);
    reads.delete(name);
    reads.set(name, known);
    const [oldest] = reads.keys();
    if (reads.size > MOST_QUESTIONS && oldest !== undefined) reads.delete(oldest);
    return known();
  };
}
