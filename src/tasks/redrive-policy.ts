import { type Quota, ratePerSecond } from '../pace/budget.ts';

/** How fast dead letters are redriven, and when a redrive gives up. Pure. */

/** How the redriven users fared, as far as it is known. */
export interface RedriveResults {
  readonly imported: number;
  /** Dead again. */
  readonly failed: number;
  /** Followed, and not known to have ended. */
  readonly open: number;
}

/** Seconds of budget that may be open as redrive calls. The rest is free for live work. */
const OPEN_SECONDS = 0.2;
/** How often users that were in a call are asked for again at the end. */
export const BUSY_ROUNDS = 5;
export const BUSY_WAIT_MS = 1_000;
/** Wait between two looks for room, while enough redrive calls are open. */
export const ROOM_LOOK_MS = 100;
/** Busy users remembered at most. Further ones are left without another try. */
export const BUSY_REMEMBERED = 10_000;
/** When there is no room for so long, no worker is making the calls. */
const ROOM_PATIENCE_MS = 60_000;

/** Redrive calls of the fleet that may be open at a time. */
export function maxOpenRedrives(quota: Quota): number {
  return Math.max(1, Math.floor(OPEN_SECONDS * ratePerSecond(quota)));
}

/** Users asked for at a time: a full call, or fewer at a low rate, where full calls would come in gusts. */
export function usersAtATime(maxUsers: number, usersPerSecond: number | undefined): number {
  if (usersPerSecond === undefined) return maxUsers;
  return Math.max(1, Math.min(maxUsers, Math.floor(usersPerSecond)));
}

/** How long to wait before the next users, when `redriven` users took `elapsedMs`. */
export function rateWaitMs(redriven: number, elapsedMs: number, usersPerSecond: number | undefined): number {
  if (usersPerSecond === undefined) return 0;
  return Math.max(0, (redriven / usersPerSecond) * 1_000 - elapsedMs);
}

/** Users whose end must be known before a share of failures means anything. So many go ahead of the rest. */
export const SAMPLE = 100;

/** Why a redrive ended before all was done. */
export type GivenUp = 'held' | 'paused' | 'no-room' | 'memory' | 'failures' | 'interrupted';

/** Why to give up instead of waiting for room; undefined to go on waiting. */
export function givesUp(stopped: 'held' | 'paused' | null, withoutRoomMs: number): GivenUp | undefined {
  if (stopped !== null) return stopped;
  return withoutRoomMs >= ROOM_PATIENCE_MS ? 'no-room' : undefined;
}

/** Whether too many of the redriven users are dead again. */
export function failsTooOften(
  { imported, failed }: Pick<RedriveResults, 'imported' | 'failed'>,
  maxShare: number,
): boolean {
  const known = imported + failed;
  return known >= SAMPLE && failed / known > maxShare;
}

/**
 * Whether to wait for the sample to end: its fault would meet the others, too, and each failure costs a call.
 */
export function awaitsSample(
  redriven: number,
  { imported, failed, open }: RedriveResults,
  maxShare: number,
): boolean {
  return maxShare < 1 && redriven >= SAMPLE && open > 0 && imported + failed < SAMPLE;
}
