import { oneLine } from '../im/redact.ts';

/** What a notice is about. */
export type NoticeKind =
  | ('hold' | 'hold-over' | 'paused' | 'resumed' | 'letters' | 'oldest' | 'oldest-over')
  | ('redrive' | 'import' | 'test');

/** What is to be told, before it has a number. */
export interface News {
  readonly kind: NoticeKind;
  /** ms since 1970, Redis's clock: when it was noticed. */
  readonly at: number;
  /** One line. */
  readonly title: string;
  /** More lines, with what to do. Never a user ID. */
  readonly text: string;
  /** The numbers of the text, for programs. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface Notice extends News {
  /** One notice has one ID, however often it is sent: a receiver tells repeats by it. */
  readonly id: string;
}

/** Such as `2026-11-29 23:36:49 UTC`. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Such as `45 s`, `12 min`, `2 h 5 min` or `3 days`. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** 1 event, 1,234 events */
export function countText(count: number, noun: string): string {
  return `${numberText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** 1,234 */
export function numberText(count: number): string {
  return count.toLocaleString('en-US');
}

/** A text from elsewhere in one line, cut to so many characters: it forges no line of a notice. */
export function shortened(text: string, chars: number): string {
  const line = oneLine(text);
  const all = [...line];
  return all.length > chars ? `${all.slice(0, chars - 1).join('')}…` : line;
}
