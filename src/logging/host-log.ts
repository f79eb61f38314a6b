import type { HostSwitch } from '../im/host-choice.ts';
import type { Logger } from './log.ts';

/** Logs each change between the two hosts of a region. */
export function logHostSwitch(log: Logger): (change: HostSwitch) => void {
  return ({ from, to, why }) =>
    log.warn(
      { from: new URL(from).host, to: new URL(to).host },
      why === 'trial'
        ? "the region's main host is tried again"
        : 'the host gives no connections: calls go to the other host of the region',
    );
}
