/** Failed attempts to sign in are slowed: from one address, each doubles the wait for the next. */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
/** Failures are forgotten after so long without one. */
const CALM_MS = 600_000;
/** Addresses that are remembered; those beyond push out the oldest. */
const MOST_ADDRESSES = 10_000;

export type Attempts = ReturnType<typeof createAttempts>;

export function createAttempts(nowMs: () => number = () => performance.now()) {
  const failures = new Map<string, { count: number; atMs: number }>();
  return {
    /** ms until this address may try again; 0: now. */
    waitMs(address: string): number {
      const known = failures.get(address);
      if (known === undefined) return 0;
      const sinceMs = nowMs() - known.atMs;
      if (sinceMs > CALM_MS) failures.delete(address);
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (known.count - 1));
      return Math.max(0, waitMs - sinceMs);
    },
    failed(address: string): void {
      const count = (failures.get(address)?.count ?? 0) + 1;
      failures.delete(address);
      failures.set(address, { count, atMs: nowMs() });
      if (failures.size > MOST_ADDRESSES)
        for (const oldest of failures.keys()) return void failures.delete(oldest);
    },
    succeeded(address: string): void {
      failures.delete(address);
    },
  };
}
