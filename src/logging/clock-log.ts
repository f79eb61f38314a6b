import type { Logger } from './log.ts';

/**
 * Apart by more than this, and it is worth a line. Nothing here reckons with this machine's clock but the UserSig,
 * which lives for days, and the delays of BullMQ, which the sweep sees to.
 */
const APART_MS = 60_000;

/** Says once a change whether this machine's clock agrees with that of Redis. */
export function logClock(log: Logger): (aheadMs: number) => void {
  let apart = false;
  return (aheadMs) => {
    const isApart = Math.abs(aheadMs) > APART_MS;
    if (isApart && !apart)
      log.warn(
        { aheadMs: Math.round(aheadMs) },
        "this machine's clock and that of Redis are apart: set both by NTP, or UserSigs made here may be refused",
      );
    if (!isApart && apart) log.info("this machine's clock and that of Redis agree again");
    apart = isApart;
  };
}
