import { performance } from 'node:perf_hooks';

/**
 * Waits until `atMs` on `performance.now()`. Timers may fire a millisecond early and usually fire late by up to
 * one, so it looks at the clock again; it never returns early.
 */
export async function waitUntil(atMs: number): Promise<void> {
  for (;;) {
    const remainingMs = atMs - performance.now();
    if (remainingMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(remainingMs)));
  }
}
