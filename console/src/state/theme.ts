import { signal } from '@preact/signals';

/** public/theme.js applies the choice before the first paint; both use this name. */
const STORED = 'imsync-theme';

export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const dark = matchMedia('(prefers-color-scheme: dark)');
const stored = localStorage.getItem(STORED);

export const theme = signal<Theme>(themes.find((known) => known === stored) ?? 'auto');
/** What is shown; charts draw themselves anew when it changes. */
export const shownTheme = signal<'light' | 'dark'>('light');

export function chooseTheme(wanted: Theme): void {
  localStorage.setItem(STORED, wanted);
  theme.value = wanted;
  apply();
}

dark.addEventListener('change', apply);
apply();

function apply(): void {
  const wanted = theme.peek();
  shownTheme.value = wanted === 'auto' ? (dark.matches ? 'dark' : 'light') : wanted;
  document.documentElement.dataset.theme = shownTheme.peek();
}
