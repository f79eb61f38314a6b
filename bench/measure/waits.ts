/** An account as the receiver knows it: when the call that brought it was worked on, by the millisecond. */
export interface Imported {
  readonly userId: string;
  readonly importedAtMs: number;
}

/**
 * From each event's acknowledgement to the arrival of its call, ms. The receiver notes arrivals to the microsecond,
 * but of an account only the millisecond in which its call was worked on, at its arrival: the call is the last one
 * that had arrived by the end of that millisecond. Throws when an event has no account. Pure.
 */
export function waitsOf(
  acknowledged: ReadonlyMap<string, number>,
  accounts: ReadonlyMap<string, Imported>,
  arrivalsMs: readonly number[],
): number[] {
  return [...acknowledged].map(([userId, ackedAtMs]) => {
    const account = accounts.get(userId);
    if (account === undefined) throw new Error(`${userId} has no account`);
    const arrivedAtMs = lastBefore(arrivalsMs, account.importedAtMs + 1);
    if (arrivedAtMs === undefined) throw new Error(`no call had arrived when ${userId} was imported`);
    return arrivedAtMs - ackedAtMs;
  });
}

function lastBefore(sorted: readonly number[], limit: number): number | undefined {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? Number.POSITIVE_INFINITY) < limit) from = middle + 1;
    else to = middle;
  }
  return sorted[from - 1];
}
