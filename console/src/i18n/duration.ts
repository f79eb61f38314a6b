import { t } from './language.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span of time in its one or two largest units: `850 ms`, `12 s`, `4 min 10 s`, `2 h 5 min`, `3 days`. */
export function duration(ms: number): string {
  if (ms < SECOND) return t('duration.ms', { n: Math.round(ms) });
  if (ms < 10 * SECOND) return t('duration.s', { n: Math.round(ms / 100) / 10 });
  if (ms < MINUTE) return t('duration.s', { n: Math.round(ms / SECOND) });
  if (ms < HOUR) {
    const seconds = Math.floor((ms % MINUTE) / SECOND);
    const minutes = t('duration.min', { n: Math.floor(ms / MINUTE) });
    return seconds === 0 || ms >= 10 * MINUTE ? minutes : `${minutes} ${t('duration.s', { n: seconds })}`;
  }
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
    ? t('time.ago', { age: duration(whole(ago)) })
    : t('time.in', { age: duration(whole(-ago)) });
}

/** In how long, for what is still to come; a moment that has passed is due. */
export function upcoming(ms: number, nowMs: number): string {
  return ms - nowMs < SECOND ? t('time.soon') : relative(ms, nowMs);
}

/** From a minute on nobody counts the seconds. */
function whole(ms: number): number {
  const unit = ms < MINUTE ? SECOND : MINUTE;
  return Math.floor(ms / unit) * unit;
}
