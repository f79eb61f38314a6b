import { signal } from '@preact/signals';

/** Redis's clock minus the browser's, as the last answer showed it, ms: ages count from the fleet's time. */
let ahead = 0;

/** The fleet's time, ms since 1970, once a second while the page is seen. */
export const now = signal(Date.now());

export function setFleetTime(nowMs: number): void {
  ahead = nowMs - Date.now();
}

export function fleetTime(): number {
  return Date.now() + ahead;
}

/** Whether the page is seen. Nothing is asked for while it is not. */
export const visible = signal(!document.hidden);

document.addEventListener('visibilitychange', () => {
  visible.value = !document.hidden;
});

setInterval(() => {
  if (visible.peek()) now.value = fleetTime();
}, 1_000);
