import { type Quota, ratePerSecond } from '../pace/budget.ts';
import type { RedriveResults } from './redrive-watch.ts';

/** How fast dead letters are redriven, and how long the verb goes on asking. Pure. */

/** Part of a second of the budget that may stand open as redrive calls: live work finds the rest free. */
const OPEN_SECONDS = 0.2;
/** Times that users who are in a call are asked for again, at the end. */
export const BUSY_ROUNDS = 5;
export const BUSY_WAIT_MS = 1_000;
/** Wait for room, when enough redrive calls are open. */
export const ROOM_LOOK_MS = 100;
/** Busy users remembered at most; more are left without another try. */
export const BUSY_REMEMBERED = 10_000;
/** Without room for so long nobody works on the calls. */
const ROOM_PATIENCE_MS = 60_000;

/** Redrive calls that may be open at a time, over the fleet. */
export function maxOpenRedrives(quota: Quota): number {
  return Math.max(1, Math.floor(OPEN_SECONDS * ratePerSecond(quota)));
}

/** Users asked for at a time: a full call, unless the rate is so low that a call of them would come in gusts. */
export function usersAtATime(maxUsers: number, usersPerSecond: number | undefined): number {
  if (usersPerSecond === undefined) return maxUsers;
  return Math.max(1, Math.min(maxUsers, Math.floor(usersPerSecond)));
}

/** How long to wait before the next users, when `redriven` of them went in `elapsedMs`. */
export function rateWaitMs(redriven: number, elapsedMs: number, usersPerSecond: number | undefined): number {
  if (usersPerSecond === undefined) return 0;
  return Math.max(0, (redriven / usersPerSecond) * 1_000 - elapsedMs);
}

/** Users whose end must be known before a share of failures says anything; so many go ahead of the rest. */
export const SAMPLE = 100;

/** Why to give up instead of waiting for room; undefined: go on waiting. */
export type GivenUp = 'held' | 'paused' | 'no-room' | 'memory' | 'failures' | 'interrupted';

export function givesUp(stopped: 'held' | 'paused' | null, withoutRoomMs: number): GivenUp | undefined {
  if (stopped !== null) return stopped;
  return withoutRoomMs >= ROOM_PATIENCE_MS ? 'no-room' : undefined;
}

/** Whether too many of those that were redriven are dead once more. */
export function failsTooOften(
  { imported, failed }: Pick<RedriveResults, 'imported' | 'failed'>,
  maxShare: number,
): boolean {
  const known = imported + failed;
  return known >= SAMPLE && failed / known > maxShare;
}

/** Whether to wait for the first ones to end: what ails them ails the rest, and a failure costs a call. */
export function awaitsSample(
  redriven: number,
  { imported, failed, open }: RedriveResults,
  maxShare: number,
): boolean {
  return maxShare < 1 && redriven >= SAMPLE && open > 0 && imported + failed < SAMPLE;
}
