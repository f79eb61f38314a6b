import { isIPv6 } from 'node:net';

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
      const from = originOf(address);
      const known = failures.get(from);
      if (known === undefined) return 0;
      const sinceMs = nowMs() - known.atMs;
      if (sinceMs > CALM_MS) failures.delete(from);
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (known.count - 1));
      return Math.max(0, waitMs - sinceMs);
    },
    failed(address: string): void {
      const from = originOf(address);
      const count = (failures.get(from)?.count ?? 0) + 1;
      failures.delete(from);
      failures.set(from, { count, atMs: nowMs() });
      if (failures.size > MOST_ADDRESSES)
        for (const oldest of failures.keys()) return void failures.delete(oldest);
    },
    succeeded(address: string): void {
      failures.delete(originOf(address));
    },
  };
}

/** An IPv6 address counts by its network of 64 bits: who has one, has all of its addresses. */
function originOf(address: string): string {
  const [plain = ''] = address.replace(/^::ffff:(?=\d+\.)/i, '').split('%');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = tail === undefined ? [] : tail.split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: 8 - groups.length - rest.length }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}
