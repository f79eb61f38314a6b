import { setTimeout as wait } from 'node:timers/promises';

/** Resolves when `isTrue` returns true and fails after five seconds. For changes without an event. */
export async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`still not: ${isTrue}`);
    await wait(1);
  }
}
