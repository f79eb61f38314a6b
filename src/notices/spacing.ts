/** When something is told: once a change, and again ever more rarely while it lasts. */

const HOUR_MS = 3_600_000;

/**
 * How long ago that was. A time that is still to come is from before Redis's clock was set back: then it is
 * long enough ago, since nothing may wait for the clock to catch up.
 */
export function elapsedMs(at: number, nowMs: number): number {
  return at > nowMs ? Number.POSITIVE_INFINITY : nowMs - at;
}

/** Reminders that are due of something that was first told at `at`: after 1 h, 4 h, then every 12 h. */
export function remindersDue(at: number, nowMs: number): number {
  const hours = Math.max(0, nowMs - at) / HOUR_MS;
  if (hours < 1) return 0;
  return hours < 4 ? 1 : 2 + Math.floor((hours - 4) / 12);
}
