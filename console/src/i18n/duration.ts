import { t } from './language.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span of time in its one or two largest units: `850 ms`, `12 s`, `4 min`, `2 h 5 min`, `3 days`. */
export function duration(ms: number): string {
  if (ms < SECOND) return t('duration.ms', { n: Math.round(ms) });
  if (ms < 10 * SECOND) return t('duration.s', { n: Math.round(ms / 100) / 10 });
  if (ms < MINUTE) return t('duration.s', { n: Math.round(ms / SECOND) });
  if (ms < HOUR) return t('duration.min', { n: Math.floor(ms / MINUTE) });
  if (ms >= 2 * DAY) return t('duration.days', { n: Math.floor(ms / DAY) });
  const minutes = Math.floor((ms % HOUR) / MINUTE);
  const hours = t('duration.h', { n: Math.floor(ms / HOUR) });
  return minutes === 0 ? hours : `${hours} ${t('duration.min', { n: minutes })}`;
}

/** How long ago, or in how long. */
export function relative(ms: number, nowMs: number): string {
  const ago = nowMs - ms;
  if (Math.abs(ago) < SECOND) return t('time.now');
  return ago > 0
    ? t('time.ago', { age: duration(wholeSeconds(ago)) })
    : t('time.in', { age: duration(wholeSeconds(-ago)) });
}

/** A text that changes each tenth of a second is read by nobody. */
function wholeSeconds(ms: number): number {
  return Math.round(ms / SECOND) * SECOND;
}
