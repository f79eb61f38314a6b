import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Polls until `check` answers true (or a value that is not false, undefined or null), and gives that value back.
 * Fails with the last thing it saw after `timeoutMs`: a deadline, not an expectation of speed.
 */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | false | undefined | null> | T | false | undefined | null,
  timeoutMs = 30_000,
  everyMs = 20,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'nothing';
  for (;;) {
    try {
      const seen = await check();
      if (seen !== false && seen !== undefined && seen !== null) return seen;
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not so within ${timeoutMs} ms: ${what} (last: ${String(last)})`);
    }
    await sleep(everyMs);
  }
}
