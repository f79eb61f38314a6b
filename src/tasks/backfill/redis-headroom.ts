import type { Backlog } from '../../ledger/backlog.ts';

/**
 * How many rows may be added now. Policy only.
 *
 * Events of an import are worth as much as those of a signup, and stand in the same line: what keeps a signup
 * quick is that the line stays short. So rows are added only while less than `TARGET_SECONDS` of work waits, be it
 * the import's own or the signups'. That is what a signup finds before it, at most; and when signups alone fill the
 * line, nothing is added at all.
 */

/** Long enough that the quota is used to the full between two looks, short enough to go unnoticed. */
export const TARGET_SECONDS = 0.3;
/** Added in one step at most: Redis serves nobody else meanwhile. */
export const MAX_STEP_ROWS = 500;

/** Calls a second that are made when there is work, by command; and how many users fit into one. */
export interface Rates {
  readonly batchPerSecond: number;
  readonly singlePerSecond: number;
  readonly usersPerBatch: number;
}

/**
 * A slow fleet is asked for twice what it did, so that 0.6 s of its work waits at most. Less, and a fleet that takes
 * half a second from the intake to a slot (a far Redis) would be taken for ever slower. One that has done nothing yet is
 * asked for a quarter.
 */
const GROWTH = 2;
const LEAST_SHARE = 0.25;

/**
 * Calls a second that the fleet makes when there is work: twice what it started in the last second, at most what is
 * allowed. A fleet short of CPU stays below the quota, and what waits for it waits longer.
 */
export function paceOf(allowedPerSecond: number, startedLastSecond: number): number {
  return Math.min(allowedPerSecond, Math.max(LEAST_SHARE * allowedPerSecond, GROWTH * startedLastSecond));
}

/** Seconds of a command's budget that a row takes: a place in a batch call, or a call of its own. */
export function secondsOf(rates: Rates, isAlone: boolean): number {
  return isAlone ? 1 / rates.singlePerSecond : 1 / (rates.batchPerSecond * rates.usersPerBatch);
}

/**
 * Rows that may be added now, 0 when enough waits. `secondsPerRow`: of the rows of this file, on average, which
 * those that wait are taken for as well.
 */
export function roomFor(
  backlog: Backlog,
  commands: { readonly batch: string; readonly single: string },
  rates: Rates,
  secondsPerRow: number,
): number {
  const open = Object.entries(backlog.calls).map(
    ([command, { calls }]) =>
      calls / (command === commands.batch ? rates.batchPerSecond : rates.singlePerSecond),
  );
  const waitingSeconds = Math.max(0, ...open) + backlog.waiting * secondsPerRow;
  const rows = Math.floor((TARGET_SECONDS - waitingSeconds) / secondsPerRow + 1e-6);
  // Where a row takes longer than the target, one at a time goes while nothing waits.
  if (rows < 1) return waitingSeconds === 0 ? 1 : 0;
  return Math.min(rows, MAX_STEP_ROWS);
}
