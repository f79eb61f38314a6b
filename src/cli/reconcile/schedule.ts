/** When a verb that repeats itself runs next. */

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `30m`, `24h` or `7d` as ms; undefined for anything else. Pure. */
export function readInterval(text: string): number | undefined {
  const [, number = '', unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  return number === '' ? undefined : Number(number) * (UNITS[unit] ?? 0);
}

/** Reads `03:00` as minutes after midnight; undefined for anything else. Pure. */
export function readTimeOfDay(text: string): number | undefined {
  const [, hour = '', minute = ''] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  return hour === '' ? undefined : Number(hour) * 60 + Number(minute);
}

/**
 * The next time to run, ms since 1970. With a time of day it is the next one on this machine's clock and zone
 * at which `everyMs` have passed since the last run, less an hour for a change of the clock. Pure.
 */
export function nextRun(
  nowMs: number,
  lastMs: number | undefined,
  { everyMs, atMinutes }: { readonly everyMs: number; readonly atMinutes?: number | undefined },
): number {
  if (atMinutes === undefined) return lastMs === undefined ? nowMs : Math.max(nowMs, lastMs + everyMs);
  const slackMs = 3_600_000;
  const earliestMs = lastMs === undefined ? nowMs : Math.max(nowMs, lastMs + everyMs - slackMs);
  const day = new Date(earliestMs);
  day.setHours(0, atMinutes, 0, 0);
  if (day.getTime() < earliestMs) day.setDate(day.getDate() + 1);
  return day.getTime();
}
