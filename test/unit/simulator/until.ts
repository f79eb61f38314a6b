import { setTimeout as wait } from 'node:timers/promises';

/** Resolves when `isTrue` holds; fails after five seconds. For what the simulator has no event for. */
export async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`still not: ${isTrue}`);
    await wait(1);
  }
}
