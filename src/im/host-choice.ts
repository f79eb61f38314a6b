export interface HostSwitch {
  readonly from: string;
  readonly to: string;
  /** `unreachable`: no connection to the host before could be made. `trial`: the main host is tried again. */
  readonly why: 'unreachable' | 'trial';
}

const FAULTS_IN_A_ROW = 5;
/** Faults within less than this may be one hiccup that several calls saw at once. */
const ROW_MS = 2_000;
const FIRST_RETURN_MS = 60_000;
const MAX_RETURN_MS = 600_000;

/**
 * Chooses which of a region's two hosts calls go to. Pure: time comes as an argument.
 *
 * main → backup: FAULTS_IN_A_ROW connections to the main host failed in a row, over at least ROW_MS.
 * backup → main: a trial after a while. The first failure of the trial leads back at once, and the next trial
 * waits twice as long. An answer of the main host ends the trial and resets all counts.
 */
export function createHostChoice(
  main: string,
  backup: string | undefined,
  onSwitch: (change: HostSwitch) => void = () => undefined,
) {
  let url = main;
  let faults = 0;
  let sinceMs = 0;
  let returnAtMs = 0;
  let returnAfterMs = FIRST_RETURN_MS;
  let onTrial = false;

  const switchTo = (to: string, why: HostSwitch['why']): void => {
    const from = url;
    url = to;
    faults = 0;
    onSwitch({ from, to, why });
  };
  const toBackup = (to: string, nowMs: number): void => {
    returnAtMs = nowMs + returnAfterMs;
    returnAfterMs = Math.min(MAX_RETURN_MS, 2 * returnAfterMs);
    onTrial = false;
    switchTo(to, 'unreachable');
  };

  return {
    /** The base URL for a call that is prepared at `nowMs`. */
    current(nowMs: number): string {
      if (url !== main && nowMs >= returnAtMs) {
        onTrial = true;
        switchTo(main, 'trial');
      }
      return url;
    },
    /** A call reached the host `from`. */
    reached(from: string): void {
      // An earlier call to the other host says nothing about this one.
      if (from !== url) return;
      faults = 0;
      if (url !== main) return;
      onTrial = false;
      returnAfterMs = FIRST_RETURN_MS;
    },
    /** No connection to `from` could be made: refused, unreachable, no address, no TLS, or too slow. */
    missed(from: string, nowMs: number): void {
      if (from !== url || backup === undefined) return;
      if (faults === 0) sinceMs = nowMs;
      faults += 1;
      if (url === main && onTrial) toBackup(backup, nowMs);
      else if (faults >= FAULTS_IN_A_ROW && nowMs - sinceMs >= ROW_MS) {
        if (url === main) toBackup(backup, nowMs);
        else switchTo(main, 'unreachable');
      }
    },
  };
}
