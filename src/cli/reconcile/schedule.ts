/** When a verb that repeats itself runs next. All of it is pure. */

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const DAY_MS = 86_400_000;

export interface Schedule {
  readonly everyMs: number;
  /** Minutes after midnight, on this machine's clock and zone; undefined for any time of day. */
  readonly atMinutes?: number | undefined;
}

/** What is known of runs before. All times are ms since 1970. */
export interface EarlierRuns {
  /** The last run that came to its end. */
  readonly last?: { readonly startedAt: number; readonly endedAt: number } | undefined;
  /** When a run was to begin, as it was noted by this schedule. It counts where `last` is not known. */
  readonly dueAt?: number | undefined;
}

/** Reads `30m`, `24h` or `7d` as ms; undefined for anything else. */
export function readInterval(text: string): number | undefined {
  const [, number = '', unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  return number === '' ? undefined : Number(number) * (UNITS[unit] ?? 0);
}

/** Reads `03:00` as minutes after midnight; undefined for anything else. */
export function readTimeOfDay(text: string): number | undefined {
  const [, hour = '', minute = ''] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  return hour === '' ? undefined : Number(hour) * 60 + Number(minute);
}

/** Why this schedule cannot be kept; undefined when it can. */
export function scheduleProblem({ everyMs, atMinutes }: Schedule): string | undefined {
  if (atMinutes === undefined || everyMs % DAY_MS === 0) return undefined;
  return '--at names a time of day, so --every must be whole days: 24h, 48h, 7d. Leave out --at to repeat it at any time.';
}

/**
 * When the next run is due. A time that has passed means that it was missed.
 *
 * Without a time of day it is `everyMs` after the last run began. With one it is that time so many days after the
 * one that the last run has served: days are counted by the calendar, so a change of the clock moves nothing. A time
 * that a day does not have is an hour later there; one that it has twice is the first.
 */
export function dueAt(nowMs: number, { last, dueAt: noted }: EarlierRuns, schedule: Schedule): number {
  const { everyMs, atMinutes } = schedule;
  if (last === undefined) {
    if (noted !== undefined) return noted;
    if (atMinutes === undefined) return nowMs;
    const today = timeOn(nowMs, 0, atMinutes);
    return today >= nowMs ? today : timeOn(nowMs, 1, atMinutes);
  }
  // A clock that was set back must not put it off.
  if (atMinutes === undefined) return Math.min(last.startedAt, nowMs) + everyMs;
  const endedMs = Math.min(last.endedAt, nowMs);
  const servedDays = timeOn(endedMs, 0, atMinutes) > endedMs ? -1 : 0;
  return timeOn(endedMs, servedDays + Math.round(everyMs / DAY_MS), atMinutes);
}

/** The time of day so many days after the day of `ms`. */
function timeOn(ms: number, days: number, atMinutes: number): number {
  const day = new Date(ms);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + days, 0, atMinutes).getTime();
}
