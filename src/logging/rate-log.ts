import { type Quota, ratePerSecond } from '../pace/budget.ts';
import type { SlotClient } from '../pace/slot.ts';
import type { Logger } from './log.ts';

/**
 * Says once when the fleet runs a command below this process's own configuration, and once when it no longer
 * does: another process with a lower quota counts, or the API throttles. Asking also keeps this process's quota
 * known to the fleet while it makes no calls.
 */
export function createRateHerald(
  books: readonly { readonly command: string; readonly slots: SlotClient; readonly quota: Quota }[],
  log: Logger,
): () => Promise<void> {
  const said = new Map<string, 'full' | 'lower' | 'throttled'>();
  return async () => {
    for (const { command, slots, quota } of books) {
      const inForce = await slots.rate();
      const own = ratePerSecond(quota);
      const isLower = inForce.fullRatePerSecond < own * 0.999;
      const isThrottled = inForce.ratePerSecond < inForce.fullRatePerSecond * 0.999;
      const now = isThrottled ? 'throttled' : isLower ? 'lower' : 'full';
      const before = said.get(command) ?? 'full';
      said.set(command, now);
      if (now === before) continue;
      const rates = { command, ratePerSecond: round(inForce.ratePerSecond), configured: round(own) };
      if (now === 'lower') {
        log.warn(rates, 'another worker is configured to a lower quota, which counts: give all the same');
      } else if (now === 'throttled') {
        log.warn(
          rates,
          'calls are slowed down because the API said "too often"; the rate recovers by itself',
        );
      } else log.info(rates, 'calls go at the full configured rate again');
    }
  };
}

function round(rate: number): number {
  return Math.round(rate * 10) / 10;
}
