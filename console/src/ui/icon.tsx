/** Strokes on a grid of 24. */
const PATHS = {
  overview: 'M4 13h4l3-8 4 14 3-6h2',
  letters: 'M4 6h16v12H4zM4 7l8 6 8-6',
  users: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM5 20c.8-3.4 3.4-5 7-5s6.2 1.6 7 5',
  activity: 'M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  good: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.5 12.5l2.5 2.5 4.5-5',
  warn: 'M12 4 2.5 20h19zM12 10v4M12 17v.01',
  bad: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 8v5M12 16v.01',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
  redrive: 'M20 12a8 8 0 1 1-2.5-5.800M20 3v4h-4',
  remove: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4 4',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  away: 'M3 12h4M17 12h4M9 8l6 8M15 8l-6 8',
  next: 'M9 5l7 7-7 7',
  leave: 'M14 4h6v16h-6M4 12h11M11 8l4 4-4 4',
} as const;

export type IconName = keyof typeof PATHS;

/** Never the only sign: words stand beside it, or the control that holds it has a name. */
export function Icon({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 24 24"
      width="26"
      height="26"
      fill="none"
      stroke="currentColor"
      stroke-width="2.2"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d="M3 6h7M3 12h4M3 18h7M12 6l9 6-9 6" />
    </svg>
  );
}
